/* The file systems that a volume can have. */
#include "sys/fs_type.h"

#include <stddef.h>
#include <string.h>

#include "base/macros.h"

static const char *const names[] = { [FS_EXT4] = "ext4", [FS_EXT3] = "ext3", [FS_XFS] = "xfs" };

const char *fs_type_name(enum fs_type type)
{
	return names[type];
}

bool fs_type_parse(const char *name, enum fs_type *ret_type)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) == 0) {
			*ret_type = (enum fs_type)i;
			return true;
		}
	}
	return false;
}

uint64_t fs_min_bytes(enum fs_type type)
{
	return type == FS_XFS ? 300ull << 20 : 16ull << 20;
}
