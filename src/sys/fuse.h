/* A FUSE file system whose server gets its descriptor handed: rclone mounts nothing itself. */
#ifndef SYS_FUSE_H
#define SYS_FUSE_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Opens /dev/fuse and mounts it at the directory target_fd as "fuse.rclone" with this source;
 * nosuid, nodev, with the kernel's own permission checks, for all users. Whoever uses the mount
 * waits until a server answers on *ret_fd (O_CLOEXEC, owned by the caller): every copy of it must
 * be closed, or users hang instead of failing when the server dies. FAILED_PRECONDITION names the
 * missing module.
 */
int fuse_mount(int target_fd, const char *source, bool read_only, int *ret_fd,
	       struct err *e) MUST_CHECK;

#endif
