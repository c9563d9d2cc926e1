/* rclone's notes on its cache, mended before an rclone sees them again. */
#ifndef S3_VFS_MEND_H
#define S3_VFS_MEND_H

#include <stdint.h>

#include "base/err.h"

/*
 * rclone empties a note before it writes it anew. Killed in between, its successor finds a note
 * that it cannot read, and deletes the file that belongs to it, synced or not (vfs/vfscache/item.go
 * of 1.76: newItem). So every note below CACHE_DIR/vfsMeta that is no JSON is written anew from the
 * file itself: dirty, so that it is uploaded, with all of it there but runs of 64 zero bytes and
 * more. Those may be places that were never fetched; rclone takes them from S3 where S3 has them.
 * No rclone may run on the cache. *ret_files is how many notes were mended. An error says that a
 * file of the cache would be lost if an rclone were started now.
 */
int vfs_mend(const char *cache_dir, uint64_t *ret_files, struct err *e) MUST_CHECK;

#endif
