/* LUKS through libcryptsetup. */
#include "sys/luks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/dm.h"
#include "sys/luks_header.h"
#include "sys/luks_library.h"

/* A device of the library, and the last line that it logged: its reason. */
struct session {
	const struct luks_library *lib;
	struct crypt_device *device;
	char last_line[256];
};

static void keep_line(int level, const char *line, void *data)
{
	struct session *session = data;

	if (level != CRYPT_LOG_ERROR && level != CRYPT_LOG_NORMAL)
		return;
	snprintf(session->last_line, sizeof(session->last_line), "%s", line);
	size_t length = strcspn(session->last_line, "\n");
	while (length && session->last_line[length - 1] == '.')
		length--;
	session->last_line[length] = '\0';
}

static void session_done(struct session *session)
{
	if (session->device)
		session->lib->crypt_free(session->device);
}
#define auto_session __attribute__((cleanup(session_done)))

static int fail(const struct session *session, int rc, const char *what, const char *subject,
		struct err *e)
{
	err_set(e, ERR_INTERNAL, "cannot %s '%s': %s", what, subject,
		*session->last_line ? session->last_line : strerror(-rc));
	e->sys = -rc;
	return -1;
}

static int open_session(const char *path, struct session *session, struct err *e)
{
	session->lib = luks_library(e);
	if (!session->lib)
		return -1;
	int rc = session->lib->crypt_init(&session->device, path);
	if (rc < 0)
		return fail(session, rc, "open for LUKS", path, e);
	session->lib->crypt_set_log_callback(session->device, keep_line, session);
	return 0;
}

static int load(struct session *session, const char *path, struct err *e)
{
	int rc = session->lib->crypt_load(session->device, CRYPT_LUKS, NULL);

	if (rc < 0) {
		fail(session, rc, "read the LUKS header of", path, e);
		e->code = ERR_FAILED_PRECONDITION;
		return -1;
	}
	return 0;
}

int luks_probe(const char *path, enum luks_probe *ret_probe, struct luks_header *ret_header,
	       struct err *e)
{
	auto_session struct session session = { 0 };
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "cannot open '%s'", path);
	if (luks_header_read(fd, ret_probe, ret_header, e) < 0)
		return -1;
	if (*ret_probe == LUKS_ABSENT)
		return 0;
	if (open_session(path, &session, e) < 0 || load(&session, path, e) < 0)
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

static int set_pbkdf(struct session *session, const struct luks_params *params)
{
	bool argon = strncmp(params->pbkdf, "argon2", 6) == 0;
	const struct crypt_pbkdf_type pbkdf = {
		.type = params->pbkdf,
		.hash = "sha256",
		.iterations = params->iterations,
		.max_memory_kb = argon ? params->memory_kib : 0,
		.parallel_threads = argon ? params->parallel : 0,
		.flags = CRYPT_PBKDF_NO_BENCHMARK,
	};

	return session->lib->crypt_set_pbkdf_type(session->device, &pbkdf);
}

int luks_format(const char *device, const char *uuid, const struct luks_params *params,
		const struct secret *passphrase, struct err *e)
{
	auto_session struct session session = { 0 };
	struct crypt_params_luks2 luks2 = { .sector_size = params->sector_size };
	const char *mode;
	char cipher[32];

	if (open_session(device, &session, e) < 0)
		return -1;
	split_cipher(params->cipher, cipher, &mode);
	int rc = session.lib->crypt_set_data_offset(session.device, LUKS_HEADER_BYTES / 512);
	if (rc == 0)
		rc = set_pbkdf(&session, params);
	if (rc == 0)
		rc = session.lib->crypt_format(session.device, CRYPT_LUKS2, cipher, mode, uuid,
					       NULL, params->key_bits / 8, &luks2);
	if (rc == 0)
		rc = session.lib->crypt_keyslot_add_by_volume_key(session.device, CRYPT_ANY_SLOT,
								  NULL, 0, secret_bytes(passphrase),
								  secret_size(passphrase));
	return rc < 0 ? fail(&session, rc, "make a LUKS2 header on", device, e) : 0;
}

/* The library opens what has one intact copy, and may mend the other: here a person decides. */
static int check_copies(const char *path, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct luks_header header;
	enum luks_probe kind;

	if (fd < 0)
		return err_sys(e, errno, "cannot open '%s'", path);
	if (luks_header_read(fd, &kind, &header, e) < 0)
		return -1;
	return kind == LUKS_PRESENT
		       ? 0
		       : err_set(e, ERR_FAILED_PRECONDITION, "'%s' has no LUKS header", path);
}

/* name NULL: the passphrase is only tried. */
static int activate(const char *path, const char *name, uint32_t flags,
		    const struct secret *passphrase, struct err *e)
{
	auto_session struct session session = { 0 };

	if (check_copies(path, e) < 0 || open_session(path, &session, e) < 0 ||
	    load(&session, path, e) < 0)
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
		fail(&session, rc, "open with dm-crypt", path, e);
		e->code = ERR_FAILED_PRECONDITION;
		return err_wrap(e,
				"the kernel of this node may lack dm-crypt (`modprobe dm-crypt`)");
	}
	return rc < 0 ? fail(&session, rc, "open LUKS on", path, e) : 0;
}

int luks_open(const char *device, const char *name, bool allow_discards, bool read_only,
	      const struct secret *passphrase, struct err *e)
{
	uint32_t flags = (allow_discards ? CRYPT_ACTIVATE_ALLOW_DISCARDS : 0) |
			 (read_only ? CRYPT_ACTIVATE_READONLY : 0);

	return activate(device, name, flags, passphrase, e);
}

int luks_test(const char *path, const struct secret *passphrase, struct err *e)
{
	return activate(path, NULL, 0, passphrase, e);
}

int luks_close(const char *name, struct err *e)
{
	struct session session = { .lib = luks_library(e) };

	if (!session.lib)
		return -1;
	int rc = session.lib->crypt_deactivate(NULL, name);
	if (rc == 0 || rc == -ENODEV)
		return 0;
	if (rc == -EBUSY)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"mapping '%s' is in use: it is still mounted or open somewhere (see `lsof "
			"/dev/mapper/%s` on the node)",
			name, name);
	return fail(&session, rc, "close mapping", name, e);
}

int luks_resize(const char *name, struct err *e)
{
	auto_session struct session session = { .lib = luks_library(e) };

	if (!session.lib)
		return -1;
	int rc = session.lib->crypt_init_by_name(&session.device, name);
	if (rc < 0)
		return fail(&session, rc, "find mapping", name, e);
	session.lib->crypt_set_log_callback(session.device, keep_line, &session);
	session.lib->crypt_volume_key_keyring(session.device, 0);
	rc = session.lib->crypt_resize(session.device, name, 0);
	return rc < 0 ? fail(&session, rc, "grow mapping", name, e) : 0;
}
