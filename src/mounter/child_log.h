/* The log of one rclone: JSON lines from a pipe, of which errors and warnings become ours. */
#ifndef MOUNTER_CHILD_LOG_H
#define MOUNTER_CHILD_LOG_H

#include "base/err.h"
#include "base/reactor.h"

struct child_log;

/* Takes the read end of the pipe, also when it fails. NULL with `e` filled then. */
struct child_log *child_log_new(struct reactor *reactor, int fd_take, const char *id,
				struct err *e);

/* The text of the last error or warning, or "". Borrowed until the next line. */
const char *child_log_error(const struct child_log *log);

/* Reads what is left after the process has ended. */
void child_log_finish(struct child_log *log);

/* NULL is fine. */
void child_log_free(struct child_log *log);

#endif
