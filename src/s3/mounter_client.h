/*
 * Asking the mounter: the process that owns one rclone per staged volume and outlives the node
 * plugin. Each call is one bounded question over its socket, from a worker.
 */
#ifndef S3_MOUNTER_CLIENT_H
#define S3_MOUNTER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct mounter {
	const char *run_dir;
	const char *socket_path; /* NULL: mounter.sock in run_dir */
	const char *rclone;
	bool spawns; /* role `all`: a mounter that is not there is started */
};

/* "{run_dir}/mounter.sock". Owned by the caller. */
char *mounter_default_socket(const char *run_dir);

/* The folder of all rclones: "{run_dir}/mounter". Owned by the caller. */
char *mounter_folder(const char *run_dir);

/* The folder of one of them in it: short, as it becomes part of a socket's name. */
#define MOUNTER_NAME_SIZE 17
void mounter_name(const char *id, char ret_name[MOUNTER_NAME_SIZE]);

/* Where rclone listens for questions. Owned by the caller. */
char *mounter_rc_socket(const char *run_dir, const char *id);

/*
 * The user that rclone runs as: whose the cache has to be. Starts a mounter where that is allowed,
 * because only the mounter knows.
 */
int mounter_user(const struct mounter *mounter, const char *id, uid_t *ret_user,
		 struct err *e) MUST_CHECK;

struct mounter_start {
	const char *id;
	const char *const *flags; /* of `rclone mount2`, NULL-terminated */
	int fuse_fd, config_fd;	  /* borrowed; the mounter keeps the second one */
	int cache_fd;		  /* the folder of the cache, borrowed; -1: none */
	uint64_t memory_limit;	  /* bytes that rclone's heap tries to stay below */
	int64_t patience_ms;	  /* an rclone that does not serve within it is ended */
};

/*
 * Starts rclone and waits until it serves. FAILED_PRECONDITION says in rclone's own words why it
 * does not; ALREADY_EXISTS when one of this volume is running; UNAVAILABLE without a mounter.
 */
int mounter_start(const struct mounter *mounter, const struct mounter_start *start,
		  struct err *e) MUST_CHECK;

struct mounter_status {
	bool known; /* it was started since the mounter was */
	bool alive;
	bool starting;	 /* it is alive and does not serve yet */
	int exit_status; /* of one that ended: 0 to 255, or 128 + signal */
	char error[256]; /* the last error or warning of its log, or "" */
};

/* No mounter at all is a status that knows nothing, where it would be started when needed. */
int mounter_look(const struct mounter *mounter, const char *id, struct mounter_status *ret_status,
		 struct err *e) MUST_CHECK;

/* SIGKILL; returns when it is gone. One that is not running is success. */
int mounter_kill(const struct mounter *mounter, const char *id, struct err *e) MUST_CHECK;

/* The configuration it was started with (owned by the caller), or -1 when the mounter has none. */
int mounter_config(const struct mounter *mounter, const char *id, int *ret_fd,
		   struct err *e) MUST_CHECK;

/* Drops what the mounter knows of a volume whose rclone has ended. */
int mounter_forget(const struct mounter *mounter, const char *id, struct err *e) MUST_CHECK;

#endif
