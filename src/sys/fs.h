/* File systems: e2fsprogs and xfsprogs as children, statistics by statvfs(3). */
#ifndef SYS_FS_H
#define SYS_FS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sys/fs_type.h"

/* Makes the file system with this UUID, with features that kernels since 5.10 mount. */
int fs_make(const char *device, enum fs_type type, const char *uuid, struct err *e) MUST_CHECK;

/* Checks before mounting (e2fsck -p; xfs replays its log at mount). FAILED_PRECONDITION when
 * a person must repair it, with the command to type. */
int fs_check(const char *device, enum fs_type type, struct err *e) MUST_CHECK;

/* Whether the file system on `device`, mounted at mount_path, would grow on a device of this size:
 * the types leave a small rest at the end unused. */
int fs_needs_grow(const char *device, enum fs_type type, const char *mount_path,
		  uint64_t device_bytes, bool *ret_yes, struct err *e) MUST_CHECK;

/* Grows the mounted file system to its device. Success only when it was read back. */
int fs_grow(const char *device, enum fs_type type, const char *mount_path,
	    struct err *e) MUST_CHECK;

struct fs_usage {
	uint64_t total_bytes, used_bytes, free_bytes;
	uint64_t total_inodes, used_inodes, free_inodes;
};

/* Usage of the file system behind an open descriptor; free_bytes is what non-root may take. */
int fs_usage(int fd, struct fs_usage *ret_usage, struct err *e) MUST_CHECK;

#endif
