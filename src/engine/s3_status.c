/* What an S3 volume looks like now: condition and usage. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/condition.h"
#include "engine/s3_cache.h"
#include "engine/s3_child.h"
#include "engine/s3_mount.h"
#include "s3/vfs_meta.h"

enum { CACHE_FULL_PERCENT = 90 };

/* How full the cache's own file system is; 0 when it cannot be told. */
static unsigned cache_percent(const struct node *node, const struct volume_record *record)
{
	struct statvfs st;
	struct err ignored;
	char path[PATH_MAX];
	bool open;

	s3_cache_path(node, record->id, path);
	if (!s3_cache_is_used(record) || s3_cache_is_open(node, record->id, &open, &ignored) < 0 ||
	    !open || statvfs(path, &st) < 0 || st.f_blocks == 0)
		return 0;
	return (unsigned)(100 - (uint64_t)st.f_bavail * 100 / st.f_blocks);
}

static void look_here(const struct node *node, const struct volume_record *record,
		      struct condition *condition)
{
	unsigned percent = cache_percent(node, record);
	struct s3_child child;
	struct err e = { 0 };

	if (s3_child_look(node, record->id, &child, &e) < 0)
		condition_say(condition, true, "%s", e.msg);
	else if (!child.alive)
		condition_say(condition, true,
			      "rclone is not running%s%.100s: files cannot be read or written; "
			      "restart the "
			      "pods of the volume; data that was synced is in the cache",
			      *child.error ? ": " : "", child.error);
	else if (!child.answers)
		condition_say(
			condition, true,
			"rclone %s: files cannot be read or written until it answers (%.150s)",
			child.starting ? "is starting" : "runs and does not answer", child.error);
	else if (child.out_of_space || percent >= CACHE_FULL_PERCENT)
		condition_say(condition, true,
			      "the cache is %u %% full: writes will fail; raise "
			      "rclone-vfs-cache-max-size, "
			      "or "
			      "look why S3 is slow",
			      percent);
	else if (*child.error)
		condition_say(condition, true, "uploads fail (%" PRIu64 " files wait): %s",
			      child.queued + child.uploading, child.error);
	else if (child.queue_known)
		condition_say(condition, false,
			      "mounted on this node; %" PRIu64 " files wait for S3",
			      child.queued + child.uploading);
	else
		condition_say(condition, s3_cache_is_used(record), "mounted on this node%s",
			      s3_cache_is_used(record) ? "; rclone does not tell what waits for S3"
						       : "");
}

void s3_condition(const struct node *node, const struct volume_record *record,
		  struct condition *ret_condition)
{
	memset(ret_condition, 0, sizeof(*ret_condition));
	if (record->state == VOLUME_DELETING)
		condition_say(ret_condition, true, "the volume is being deleted");
	else if (strcmp(record->node, node->id) == 0)
		look_here(node, record, ret_condition);
	else if (*record->node)
		condition_say(ret_condition, false, "staged on node '%.200s'", record->node);
	else
		condition_say(ret_condition, false, "not staged");
}

int s3_usage(const struct node *node, const struct volume_record *record, const char *volume_path,
	     struct fs_usage *ret_usage, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	struct s3_child child;
	struct target target;

	if (target_parse_published(&node->kubelet, volume_path, &target, e) < 0)
		return -1;
	if (mount_table_read(&mounts, e) < 0)
		return -1;
	const struct mount_entry *mount = mount_table_at(&mounts, target.path);
	if (!mount || !s3_mount_is_of(mount, node, record->id))
		return err_set(e, ERR_NOT_FOUND, "volume '%s' is not mounted at '%.200s'",
			       record->id, volume_path);
	memset(ret_usage, 0, sizeof(*ret_usage));
	ret_usage->total_bytes = record->capacity_bytes;
	ret_usage->free_bytes = record->capacity_bytes;
	/* A mount whose rclone is gone or hangs answers nothing; the condition says so. */
	if (s3_child_look(node, record->id, &child, e) < 0 || !child.answers)
		return 0;
	auto_close int fd = open(target.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "cannot open '%s'", target.path);
	return fs_usage(fd, ret_usage, e);
}

bool s3_has_queue(const struct node *node, const struct volume_record *record)
{
	return params_backend(&record->params) == BACKEND_S3 &&
	       strcmp(record->node, node->id) == 0 && s3_cache_is_used(record);
}

int s3_queue_look(const struct node *node, const struct volume_record *record,
		  struct s3_queue *ret_queue, struct err *e)
{
	uint64_t dirty_files, dirty_bytes;
	struct s3_child child;
	char path[PATH_MAX];

	if (s3_child_look(node, record->id, &child, e) < 0)
		return -1;
	if (!child.alive)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "volume '%s' is not mounted on node '%s'%s%s", record->id, node->id,
			       *child.error ? ": " : "", child.error);
	if (!child.queue_known)
		return err_set(e, ERR_UNAVAILABLE,
			       "the rclone of volume '%s' does not tell what waits for S3",
			       record->id);
	/* A file that is open, or whose close failed, is in the cache alone and in no queue. */
	s3_cache_path(node, record->id, path);
	if (vfs_meta_dirty(path, &dirty_files, &dirty_bytes, e) < 0)
		return -1;
	uint64_t queued = child.queued + child.uploading;
	ret_queue->files = queued > dirty_files ? queued : dirty_files;
	ret_queue->bytes = child.queued_bytes > dirty_bytes ? child.queued_bytes : dirty_bytes;
	ret_queue->uploading = child.uploading;
	ret_queue->cache_bytes = child.cache_bytes;
	memcpy(ret_queue->error, child.error, sizeof(ret_queue->error));
	return 0;
}
