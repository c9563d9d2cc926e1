/* The file systems that a volume can have. */
#ifndef SYS_FS_TYPE_H
#define SYS_FS_TYPE_H

#include <stdbool.h>
#include <stdint.h>

enum fs_type { FS_EXT4, FS_EXT3, FS_XFS };

/* "ext4", "ext3", "xfs". */
const char *fs_type_name(enum fs_type type);
bool fs_type_parse(const char *name, enum fs_type *ret_type);

/* The smallest volume that the type can be made on. */
uint64_t fs_min_bytes(enum fs_type type);

#endif
