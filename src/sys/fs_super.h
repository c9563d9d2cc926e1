/* The size that a mounted file system says it has, and the one that it could have. */
#ifndef SYS_FS_SUPER_H
#define SYS_FS_SUPER_H

#include <stdint.h>

#include "sys/fs.h"

struct fs_size {
	uint64_t bytes;
	uint64_t reach_bytes; /* where growing ends: a rest too small for a group stays unused */
	uint64_t rest_bytes;  /* no such rest is larger */
};

/* FAILED_PRECONDITION when there is no such superblock. */
int fs_super_size(const char *device, enum fs_type type, const char *mount_path,
		  uint64_t device_bytes, struct fs_size *ret_size, struct err *e) MUST_CHECK;

#endif
