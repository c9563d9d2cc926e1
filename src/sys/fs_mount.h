/* Mounting a file system of a volume. */
#ifndef SYS_FS_MOUNT_H
#define SYS_FS_MOUNT_H

#include <stddef.h>

#include "base/err.h"
#include "sys/fs_type.h"

/*
 * mount_make() and mount_attach(). A file system that the power left in the middle of its growth is
 * one that can be written and grown further.
 */
int fs_mount(const char *device, enum fs_type type, int target_fd, const char *const flags[],
	     size_t count, struct err *e) MUST_CHECK;

#endif
