/*
 * rclone's notes on its cache: what was not uploaded yet. After it has ended they are the truth;
 * while it runs they come and go, and one that is just being written counts as dirty.
 */
#ifndef S3_VFS_META_H
#define S3_VFS_META_H

#include <stdint.h>

#include "base/err.h"

/*
 * Counts the files below CACHE_DIR/vfsMeta that are "Dirty", and their bytes. A note that is empty
 * or cannot be understood counts as dirty: rclone would delete what belongs to it, and nobody knows
 * what that is. No folder of notes at all is nothing dirty.
 */
int vfs_meta_dirty(const char *cache_dir, uint64_t *ret_files, uint64_t *ret_bytes,
		   struct err *e) MUST_CHECK;

#endif
