/*
 * flock(2) on files of one folder. The kernel gives a lock back when the last process that
 * holds it dies, children started by base/proc included: a stuck mkfs or a worker in D state
 * of an earlier instance still fences its volume.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/macros.h"

/*
 * Takes dir_fd/name without waiting. Returns a descriptor that holds the lock until closed, or
 * -EWOULDBLOCK when somebody else has it, or -errno. The file is left behind: it is empty and
 * the folder is lost at reboot.
 */
int lock_try(int dir_fd, const char *name) MUST_CHECK;

/* The same, but waits up to timeout_ms for it; then -EWOULDBLOCK. */
int lock_wait(int dir_fd, const char *name, int64_t timeout_ms) MUST_CHECK;

/*
 * Locks an open folder itself, without waiting; closing dir_fd gives it back. From now on programs
 * inherit dir_fd, for the same reason that they inherit the locks above. -EWOULDBLOCK when
 * somebody else has it. A file system without locks is not an error.
 */
int lock_folder(int dir_fd) MUST_CHECK;

/*
 * Takes one of `slots` locks named "PREFIX.N", waiting up to timeout_ms for one to come free.
 * Returns a descriptor, -ETIMEDOUT or -errno.
 */
int lock_slot(int dir_fd, const char *prefix, unsigned slots, int64_t timeout_ms) MUST_CHECK;

#endif
