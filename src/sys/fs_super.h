/* The size that a mounted file system says it has. */
#ifndef SYS_FS_SUPER_H
#define SYS_FS_SUPER_H

#include <stdint.h>

#include "sys/fs.h"

/*
 * *ret_unit is the smallest step in which the type grows (an ext block group, an xfs allocation
 * group's minimum). FAILED_PRECONDITION when there is no such superblock.
 */
int fs_super_size(const char *device, enum fs_type type, const char *mount_path,
		  uint64_t *ret_bytes, uint64_t *ret_unit, struct err *e) MUST_CHECK;

#endif
