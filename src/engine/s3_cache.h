/*
 * The cache of an S3 volume on this node: a LUKS file of its own below the state folder, opened
 * and mounted by the local engine. It holds what is written and not uploaded yet, so it stays
 * through crashes and reboots, and is removed only when nothing in it is dirty.
 */
#ifndef ENGINE_S3_CACHE_H
#define ENGINE_S3_CACHE_H

#include <limits.h>

#include "engine/s3.h"

/* Whether the volume's class wants a cache: rclone-vfs-cache-mode is not 'off'. */
bool s3_cache_is_used(const struct volume_record *record);

/* Where the cache is mounted, whether it is or not. */
void s3_cache_path(const struct node *node, const char *id, char ret_path[PATH_MAX]);

enum s3_cache_use {
	S3_CACHE_WRITES, /* s3_cache_mark_clean() is forgotten before anything is opened */
	S3_CACHE_READS,	 /* the mark stays: nothing in it will ever be dirty */
};

/*
 * Ensures that the cache is there, open with the volume's passphrase, and mounted.
 * FAILED_PRECONDITION when the passphrase does not open it; RESOURCE_EXHAUSTED when the state
 * folder has no room for it.
 */
int s3_cache_open(const struct node *node, const struct volume_record *record,
		  const struct secret *passphrase, enum s3_cache_use use, struct err *e) MUST_CHECK;

/* Whether a cache file of the volume lies on this node. */
int s3_cache_exists(const struct node *node, const char *id, bool *ret_exists,
		    struct err *e) MUST_CHECK;

/* Whether the cache is mounted now. */
int s3_cache_is_open(const struct node *node, const char *id, bool *ret_open,
		     struct err *e) MUST_CHECK;

/* Notes that nothing in the cache is dirty, so that it can be removed after a crash. Durable. */
int s3_cache_mark_clean(const struct node *node, const char *id, struct err *e) MUST_CHECK;

/*
 * Whether this node may have data that S3 does not have: a cache is there, was once ready for
 * rclone, and is not marked clean. Where not, s3_cache_remove() loses nothing.
 */
int s3_cache_may_hold(const struct node *node, const char *id, bool *ret_may_hold,
		      struct err *e) MUST_CHECK;

/* Unmounts and closes; the file stays. A closed one is success. */
int s3_cache_close(const struct node *node, const char *id, struct err *e) MUST_CHECK;

/* Destroys the keys and the file of a closed cache; one that is not there is success. */
int s3_cache_remove(const struct node *node, const char *id, struct err *e) MUST_CHECK;

#endif
