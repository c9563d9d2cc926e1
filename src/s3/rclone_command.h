/* One bounded rclone command that asks or changes something in a bucket, and ends. */
#ifndef S3_RCLONE_COMMAND_H
#define S3_RCLONE_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/proc.h"

struct rclone_tool {
	const char *program;  /* absolute path of rclone */
	int config_fd;	      /* of rclone_config.h */
	const char *endpoint; /* for sentences; NULL: AWS */
	const char *bucket;
};

/* Exit codes of rclone that are answers. */
enum { RCLONE_OK = 0, RCLONE_NO_DIRECTORY = 3, RCLONE_NO_FILE = 4 };

/*
 * Runs `rclone WORDS...` (NULL-terminated) with the configuration, few retries and short timeouts,
 * in a clean environment; `input` is its stdin. 0 when it ran: *ret_answer holds the exit code and
 * at most answer_limit bytes of what it printed. UNAVAILABLE after timeout_ms,
 * FAILED_PRECONDITION when there is no rclone.
 */
int rclone_ask(const struct rclone_tool *tool, const char *const words[], const char *input,
	       size_t answer_limit, int64_t timeout_ms, struct proc_answer *ret_answer,
	       struct err *e) MUST_CHECK;

/* Fills `e` for an answer that says that the command failed: rclone_refused(). Always -1. */
int rclone_answer_error(const struct rclone_tool *tool, const struct proc_answer *answer,
			struct err *e);

#endif
