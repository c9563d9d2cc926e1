/* LUKS through libcryptsetup. */
#include "sys/luks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/step.h"
#include "sys/dm.h"
#include "sys/luks_header.h"
#include "sys/luks_session.h"

int luks_is_usable(struct err *e)
{
	return luks_library(e) ? 0 : -1;
}

int luks_probe(const char *path, enum luks_probe *ret_probe, struct luks_header *ret_header,
	       struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "cannot open '%s'", path);
	if (luks_header_read(fd, ret_probe, ret_header, e) < 0)
		return -1;
	if (*ret_probe == LUKS_ABSENT)
		return 0;
	if (luks_session_load(path, &session, e) < 0)
		return -1;
	ret_header->sector_size = (unsigned)session.lib->crypt_get_sector_size(session.device);
	ret_header->data_offset_bytes = session.lib->crypt_get_data_offset(session.device) * 512;
	return 0;
}

/* "aes-xts-plain64" is cipher "aes" in mode "xts-plain64". */
static void split_cipher(const char *spec, char cipher[32], const char **ret_mode)
{
	size_t length = strcspn(spec, "-");

	snprintf(cipher, 32, "%.*s", (int)length, spec);
	*ret_mode = spec[length] ? spec + length + 1 : "";
}

int luks_format(const char *device, const char *uuid, const struct luks_params *params,
		const struct secret *passphrase, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };
	struct crypt_params_luks2 luks2 = { .sector_size = params->sector_size };
	const char *mode;
	int64_t started = clock_ms();
	char cipher[32];

	if (luks_session_open(device, &session, e) < 0)
		return -1;
	split_cipher(params->cipher, cipher, &mode);
	int rc = session.lib->crypt_set_data_offset(session.device, LUKS_HEADER_BYTES / 512);
	if (rc == 0)
		rc = luks_session_set_pbkdf(&session, params);
	if (rc == 0)
		rc = session.lib->crypt_format(session.device, CRYPT_LUKS2, cipher, mode, uuid,
					       NULL, params->key_bits / 8, &luks2);
	if (rc == 0)
		rc = session.lib->crypt_keyslot_add_by_volume_key(session.device, CRYPT_ANY_SLOT,
								  NULL, 0, secret_bytes(passphrase),
								  secret_size(passphrase));
	step_ended(STEP_LUKS_FORMAT, started);
	return rc < 0 ? luks_session_fail(&session, rc, "make a LUKS2 header on", device, e) : 0;
}

/* name NULL: the passphrase is only tried. */
static int activate(const char *path, const char *name, uint32_t flags,
		    const struct secret *passphrase, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };

	if (luks_session_load_whole(path, &session, e) < 0)
		return -1;
	/* With the key in a keyring of this process no later one could resize the mapping. */
	session.lib->crypt_volume_key_keyring(session.device, 0);
	int rc = session.lib->crypt_activate_by_passphrase(session.device, name, CRYPT_ANY_SLOT,
							   secret_bytes(passphrase),
							   secret_size(passphrase), flags);
	if (rc == -EPERM || rc == -ENOENT) {
		err_set(e, ERR_PERMISSION_DENIED, "the passphrase does not open LUKS on '%s'",
			path);
		e->sys = -rc;
		return -1;
	}
	if (rc == -ENOTSUP || rc == -ENODEV) {
		luks_session_fail(&session, rc, "open with dm-crypt", path, e);
		e->code = ERR_FAILED_PRECONDITION;
		return err_wrap(e,
				"the kernel of this node may lack dm-crypt (`modprobe dm-crypt`)");
	}
	return rc < 0 ? luks_session_fail(&session, rc, "open LUKS on", path, e) : 0;
}

int luks_open(const char *device, const char *name, bool allow_discards, bool read_only,
	      const struct secret *passphrase, struct err *e)
{
	uint32_t flags = (allow_discards ? CRYPT_ACTIVATE_ALLOW_DISCARDS : 0) |
			 (read_only ? CRYPT_ACTIVATE_READONLY : 0);
	int64_t started = clock_ms();
	int rc = activate(device, name, flags, passphrase, e);

	step_ended(STEP_LUKS_OPEN, started);
	return rc;
}

int luks_test(const char *path, const struct secret *passphrase, struct err *e)
{
	return activate(path, NULL, 0, passphrase, e);
}

int luks_close(const char *name, struct err *e)
{
	struct luks_session session = { .lib = luks_library(e) };

	if (!session.lib)
		return -1;
	int rc = session.lib->crypt_deactivate(NULL, name);
	if (rc == 0 || rc == -ENODEV)
		return 0;
	if (rc == -EBUSY)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"mapping '%s' is in use: it is still mounted or open somewhere (see, on "
			"the node, `lsof /dev/mapper/%s`, and `grep -l %s /proc/*/mountinfo` for "
			"a container that keeps a mount)",
			name, name, name);
	return luks_session_fail(&session, rc, "close mapping", name, e);
}

int luks_resize(const char *name, struct err *e)
{
	auto_luks_session struct luks_session session = { .lib = luks_library(e) };

	if (!session.lib)
		return -1;
	int rc = session.lib->crypt_init_by_name(&session.device, name);
	if (rc < 0)
		return luks_session_fail(&session, rc, "find mapping", name, e);
	luks_session_listen(&session);
	session.lib->crypt_volume_key_keyring(session.device, 0);
	rc = session.lib->crypt_resize(session.device, name, 0);
	return rc < 0 ? luks_session_fail(&session, rc, "grow mapping", name, e) : 0;
}
