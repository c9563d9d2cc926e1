/* Bringing back a copy of a LUKS2 header from the other one. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "sys/luks_header.h"
#include "sys/luks_session.h"

int luks_header_try(int fd, const struct secret *passphrase, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };
	char path[64];

	/* The library mends nothing by itself while its own locks are off (sys/luks_library.c). */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (luks_session_load(path, &session, e) < 0)
		return -1;
	int rc = session.lib->crypt_activate_by_passphrase(session.device, NULL, CRYPT_ANY_SLOT,
							   secret_bytes(passphrase),
							   secret_size(passphrase), 0);
	if (rc == -EPERM || rc == -ENOENT)
		return err_set(e, ERR_PERMISSION_DENIED,
			       "the passphrase does not open the copy of the LUKS header");
	return rc < 0 ? luks_session_fail(&session, rc, "try the passphrase on", path, e) : 0;
}

int luks_header_mend(int fd, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };
	struct luks_header header;
	enum luks_probe kind;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (luks_session_open(path, &session, e) < 0)
		return -1;
	int rc = session.lib->crypt_repair(session.device, CRYPT_LUKS2, NULL);
	if (rc < 0)
		return luks_session_fail(&session, rc, "mend the LUKS header of", path, e);
	if (fsync(fd) < 0)
		return err_sys(e, errno, "cannot sync the mended LUKS header");
	return luks_header_read(fd, &kind, &header, e);
}
