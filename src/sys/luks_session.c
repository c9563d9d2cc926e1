/* A device opened with libcryptsetup. */
#include "sys/luks_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/luks_header.h"

static void keep_line(int level, const char *line, void *data)
{
	struct luks_session *session = data;

	if (level != CRYPT_LOG_ERROR && level != CRYPT_LOG_NORMAL)
		return;
	snprintf(session->last_line, sizeof(session->last_line), "%s", line);
	size_t length = strcspn(session->last_line, "\n");
	while (length && session->last_line[length - 1] == '.')
		length--;
	session->last_line[length] = '\0';
}

void luks_session_done(struct luks_session *session)
{
	if (session->device)
		session->lib->crypt_free(session->device);
	session->device = NULL;
}

void luks_session_listen(struct luks_session *session)
{
	session->lib->crypt_set_log_callback(session->device, keep_line, session);
}

int luks_session_fail(const struct luks_session *session, int rc, const char *what,
		      const char *subject, struct err *e)
{
	err_set(e, ERR_INTERNAL, "cannot %s '%s': %s", what, subject,
		*session->last_line ? session->last_line : strerror(-rc));
	e->sys = -rc;
	return -1;
}

int luks_session_open(const char *path, struct luks_session *session, struct err *e)
{
	session->lib = luks_library(e);
	if (!session->lib)
		return -1;
	int rc = session->lib->crypt_init(&session->device, path);
	if (rc < 0)
		return luks_session_fail(session, rc, "open for LUKS", path, e);
	luks_session_listen(session);
	return 0;
}

int luks_session_load(const char *path, struct luks_session *session, struct err *e)
{
	if (luks_session_open(path, session, e) < 0)
		return -1;
	int rc = session->lib->crypt_load(session->device, CRYPT_LUKS, NULL);
	if (rc < 0) {
		luks_session_fail(session, rc, "read the LUKS header of", path, e);
		e->code = ERR_FAILED_PRECONDITION;
		return -1;
	}
	return 0;
}

int luks_session_load_whole(const char *path, struct luks_session *session, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct luks_header header;
	enum luks_probe kind;

	if (fd < 0)
		return err_sys(e, errno, "cannot open '%s'", path);
	if (luks_header_read(fd, &kind, &header, e) < 0)
		return -1;
	if (kind != LUKS_PRESENT)
		return err_set(e, ERR_FAILED_PRECONDITION, "'%s' has no LUKS header", path);
	return luks_session_load(path, session, e);
}

int luks_session_set_pbkdf(struct luks_session *session, const struct luks_params *params)
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
