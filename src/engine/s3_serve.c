/* An rclone and its mount, together. */
#include "engine/s3_serve.h"

#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/s3_cache.h"
#include "engine/s3_child.h"
#include "engine/s3_mount.h"
#include "s3/vfs_mend.h"
#include "s3/vfs_meta.h"
#include "sys/fuse.h"
#include "sys/mount.h"

static int verify(const struct node *node, const char *id, const struct target *target,
		  struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	const struct mount_entry *mount;

	if (mount_table_read(&mounts, e) < 0 ||
	    s3_mount_find(&mounts, target, node, id, &mount, e) < 0)
		return -1;
	if (!mount)
		return err_set(e, ERR_INTERNAL,
			       "'%s' does not show the volume's mount right after mounting it",
			       target->path);
	return 0;
}

static void undo(const struct node *node, const char *id, const struct target *target)
{
	struct err e = { 0 };

	if (mount_detach(target->path, &e) < 0)
		log_warn("cannot undo a failed mount", KV("volume", id), KV("error", e.msg));
	if (s3_child_kill(node, id, &e) < 0)
		log_warn("cannot end the rclone of a failed mount", KV("volume", id),
			 KV("error", e.msg));
}

/* Nothing of the cache is lost because rclone was killed while it wrote a note. */
static int mend_cache(const char *id, const char *path, uint64_t *ret_dirty, struct err *e)
{
	uint64_t bytes;

	uint64_t files;

	if (vfs_mend(path, &files, e) < 0)
		return err_wrap(e, "rclone is not started on the cache of volume '%s'", id);
	if (files)
		log_warn("notes on files of the cache were cut off by a crash: the files are kept "
			 "and uploaded again",
			 KV("volume", id), KV("files", files));
	return vfs_meta_dirty(path, ret_dirty, &bytes, e);
}

int s3_serve(const struct node *node, const struct volume_record *record,
	     const struct s3_bucket *bucket, const struct capability *capability,
	     const struct target *target, enum s3_serve_kind kind, struct err *e)
{
	auto_close int target_fd = -1, fuse_fd = -1;
	char source[S3_SOURCE_SIZE], cache[PATH_MAX];
	bool read_only = capability_is_reader(capability);
	uint64_t dirty = 0;

	s3_mount_source(node, record->id, source);
	s3_cache_path(node, record->id, cache);
	if ((s3_cache_is_used(record) && mend_cache(record->id, cache, &dirty, e) < 0) ||
	    target_open(target, TARGET_DIRECTORY, &target_fd, e) < 0 ||
	    fuse_mount(target_fd, source, read_only || kind == S3_SERVE_DRAIN, &fuse_fd, e) < 0)
		return -1;
	const struct s3_child_wish wish = {
		.record = record,
		.capability = capability,
		.bucket = bucket,
		.cache_path = s3_cache_is_used(record) ? cache : NULL,
		.read_only = read_only,
		.hurry = kind == S3_SERVE_DRAIN,
		.fuse_fd = fuse_fd,
		.dirty = dirty,
	};
	if (s3_child_start(node, &wish, e) == 0 && verify(node, record->id, target, e) == 0)
		return 0;
	undo(node, record->id, target);
	return -1;
}
