/*
 * Whether a mounted file system works. The flags of its mount do not tell: since Linux 6.12 (and
 * the stable kernels that took the change) ext4 stays "rw" there after an error, and xfs always
 * did.
 */
#ifndef SYS_FS_HEALTH_H
#define SYS_FS_HEALTH_H

#include "sys/fs.h"

/*
 * Looks at what ext4 counts, reads the root folder, and reads a block of the device past every
 * cache. FAILED_PRECONDITION says what was seen. Blocks as long as the disk below does.
 */
int fs_health(const char *device, unsigned dm_minor, enum fs_type type, const char *mount_path,
	      struct err *e) MUST_CHECK;

#endif
