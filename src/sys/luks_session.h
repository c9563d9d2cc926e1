/* A device opened with libcryptsetup: for the files luks_*.c only. */
#ifndef SYS_LUKS_SESSION_H
#define SYS_LUKS_SESSION_H

#include "base/err.h"
#include "sys/luks.h"
#include "sys/luks_library.h"

/* An all-zero session may be released. */
struct luks_session {
	const struct luks_library *lib;
	struct crypt_device *device;
	char last_line[256]; /* that the library logged: its reason */
};

void luks_session_done(struct luks_session *session);
#define auto_luks_session __attribute__((cleanup(luks_session_done)))

/* Sends the library's log lines of session->device to last_line. */
void luks_session_listen(struct luks_session *session);

/* The device or file at `path`, not looked at yet. */
int luks_session_open(const char *path, struct luks_session *session, struct err *e) MUST_CHECK;

/* Opens and reads the header. FAILED_PRECONDITION when the library finds none. */
int luks_session_load(const char *path, struct luks_session *session, struct err *e) MUST_CHECK;

/*
 * The same, after both copies of the header were found whole: what has one intact copy the
 * library would open and use, and here a person decides first.
 */
int luks_session_load_whole(const char *path, struct luks_session *session,
			    struct err *e) MUST_CHECK;

/* "cannot WHAT 'SUBJECT': REASON", with the library's last line as reason. Always -1. */
int luks_session_fail(const struct luks_session *session, int rc, const char *what,
		      const char *subject, struct err *e);

/* How new keyslots are made: never benchmarked. Returns what the library does. */
int luks_session_set_pbkdf(struct luks_session *session, const struct luks_params *params);

#endif
