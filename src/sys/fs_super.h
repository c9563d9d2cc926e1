/* The size that a mounted file system says it has, and the one that it could have. */
#ifndef SYS_FS_SUPER_H
#define SYS_FS_SUPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sys/fs_type.h"

struct fs_size {
	uint64_t bytes;
	uint64_t reach_bytes; /* where growing ends: a rest too small for a group stays unused */
	uint64_t rest_bytes;  /* no such rest is larger */
};

/*
 * Whether making the file system came to its end: mke2fs writes the primary superblock last, and
 * mkfs.xfs takes its "in progress" mark away last. One that was ever mounted is whole.
 */
int fs_super_is_whole(const char *device, enum fs_type type, bool *ret_whole,
		      struct err *e) MUST_CHECK;

/* What the superblock of an xfs that is not mounted says, in bytes; 0 when it cannot be read. */
uint64_t fs_super_xfs_claims(const char *device);

/* The size of the mounted xfs that an open descriptor is in. FAILED_PRECONDITION: it is no xfs. */
int fs_super_xfs_bytes(int fd, uint64_t *ret_bytes, struct err *e) MUST_CHECK;

/* FAILED_PRECONDITION when there is no such superblock. */
int fs_super_size(const char *device, enum fs_type type, const char *mount_path,
		  uint64_t device_bytes, struct fs_size *ret_size, struct err *e) MUST_CHECK;

#endif
