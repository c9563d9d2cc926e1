/* NodeUnstageVolume of an S3 volume: success says that every byte is in S3. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "engine/s3_cache.h"
#include "engine/s3_child.h"
#include "engine/s3_holder.h"
#include "engine/s3_mount.h"
#include "engine/s3_serve.h"
#include "s3/vfs_meta.h"
#include "sys/mount.h"

/*
 * A closed file is queued some 100 ms after close(2) returned, so one look at an empty queue says
 * nothing: three, over at least a second.
 */
enum {
	POLL_MS = 500,
	POLLS = 3,
	ANSWER_MS = 5000,
	LONG_WRITE_BACK_MS = 30 * 1000,
	LONGEST_MS = 8 * 60 * 1000
};

struct draining {
	const struct node *node;
	const struct volume_record *record;
	const char *id;
	struct target target;
	int64_t end_ms;
	const struct mount_entry *mount; /* staging mount, in `mounts` */
	struct mount_table mounts;
	struct s3_child child;
	uint64_t dirty_files, dirty_bytes; /* in the cache, after rclone has ended */
};

static void draining_done(struct draining *d)
{
	mount_table_done(&d->mounts);
}

static int look(struct draining *d, struct err *e)
{
	mount_table_done(&d->mounts);
	d->mounts = (struct mount_table){ 0 };
	if (mount_table_read(&d->mounts, e) < 0 ||
	    s3_mount_find(&d->mounts, &d->target, d->node, d->id, &d->mount, e) < 0)
		return -1;
	return s3_child_look(d->node, d->id, &d->child, e);
}

static int check_not_published(const struct draining *d, struct err *e)
{
	for (size_t i = 0; i < d->mounts.count; i++) {
		const struct mount_entry *mount = &d->mounts.entries[i];

		if (s3_mount_is_of(mount, d->node, d->id) &&
		    strcmp(mount->target, d->target.path) != 0)
			return err_set(e, ERR_FAILED_PRECONDITION,
				       "volume '%s' is still mounted at '%s': unpublish it first",
				       d->id, mount->target);
	}
	return 0;
}

static int not_drained(const struct draining *d, struct err *e)
{
	const struct s3_child *child = &d->child;

	if (!child->queue_known)
		return err_set(e, ERR_ABORTED,
			       "it is not known how much of volume '%s' still waits for S3: rclone "
			       "does not answer%s%s",
			       d->id, *child->error ? ": " : "", child->error);
	return err_set(e, ERR_ABORTED,
		       "volume '%s' is not drained: %" PRIu64 " files with %" PRIu64
		       " bytes are not in S3 yet (%" PRIu64
		       " are being uploaded now); it goes on by itself%s%s",
		       d->id, child->queued + child->uploading, child->queued_bytes,
		       child->uploading, *child->error ? "; last error: " : "", child->error);
}

static int wait_for_queue(struct draining *d, struct err *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000 * 1000 };
	int empty = 0;

	for (;;) {
		if (s3_child_look(d->node, d->id, &d->child, e) < 0)
			return -1;
		if (!d->child.alive)
			return err_set(
				e, ERR_ABORTED,
				"the rclone of volume '%s' ended while it was drained: it is "
				"started again with the next call",
				d->id);
		bool none = d->child.queue_known && d->child.queued + d->child.uploading == 0;
		empty = none ? empty + 1 : 0;
		if (empty >= POLLS)
			return 0;
		if (clock_ms() + POLL_MS > d->end_ms)
			return not_drained(d, e);
		nanosleep(&pause, NULL);
	}
}

static bool waits_long(const struct draining *d)
{
	int64_t ms = 0;

	parse_duration(d->record->params.value[PARAM_VFS_WRITE_BACK], &ms);
	return ms > LONG_WRITE_BACK_MS;
}

/*
 * A mount with an rclone behind it: nobody may write, everything is uploaded, then it ends. A class
 * may let uploads wait for an hour: then rclone is ended first, and started again to upload at once
 * what its cache still holds (serve_again()).
 */
static int drain_mounted(struct draining *d, bool may_restart, struct err *e)
{
	const struct timespec settle = { .tv_sec = 1 };

	if (mount_set_read_only(d->target.path, true, e) < 0)
		return e->sys != EBUSY ? -1
				       : err_set(e, ERR_ABORTED,
						 "a file of volume '%s' is still open for writing: "
						 "it is unstaged when "
						 "it is closed",
						 d->id);
	bool restart = may_restart && s3_cache_is_used(d->record) && waits_long(d);
	if (restart) { /* what was closed just now is being put into the cache */
		nanosleep(&settle, NULL);
		if (s3_child_look(d->node, d->id, &d->child, e) < 0)
			return -1;
		/* One that uploads already may be that of an earlier call: it is not broken off. */
		restart = d->child.queue_known && d->child.queued && !d->child.uploading;
	}
	if (!restart && s3_cache_is_used(d->record) && wait_for_queue(d, e) < 0)
		return -1;
	if (mount_remove(d->target.path, e) < 0)
		return -1;
	return s3_child_wait(d->node, d->id, e);
}

/* What is left of an rclone that died, or of a call that was broken off. */
static int clear_dead(struct draining *d, struct err *e)
{
	if (d->mount && mount_detach(d->target.path, e) < 0)
		return -1;
	return d->child.alive ? s3_child_kill(d->node, d->id, e) : 0;
}

static int refuse_dirty(const struct draining *d, const char *why, struct err *e)
{
	return err_set(e, ERR_ABORTED,
		       "%" PRIu64 " files with %" PRIu64
		       " bytes of volume '%s' are in the cache of node '%s' and not in S3: %.550s",
		       d->dirty_files, d->dirty_bytes, d->id, d->node->id, why);
}

/*
 * rclone is gone: what its cache says is the truth. *ret_clean false: there is more to upload, and
 * an rclone could be started for it.
 */
static int check_cache(struct draining *d, bool *ret_clean, struct err *e)
{
	bool may_hold, open;
	char path[PATH_MAX];

	*ret_clean = true;
	if (s3_cache_may_hold(d->node, d->id, &may_hold, e) < 0)
		return -1;
	if (!may_hold)
		return 0;
	if (s3_cache_is_open(d->node, d->id, &open, e) < 0)
		return -1;
	if (!open)
		return err_set(
			e, ERR_ABORTED,
			"the cache of volume '%s' on node '%s' is closed (a reboot?) and may "
			"hold data that is not in S3: stage the volume there again, and it is "
			"uploaded",
			d->id, d->node->id);
	s3_cache_path(d->node, d->id, path);
	if (vfs_meta_dirty(path, &d->dirty_files, &d->dirty_bytes, e) < 0)
		return err_wrap(e, "it is not known what the cache of volume '%s' holds", d->id);
	*ret_clean = d->dirty_files == 0;
	return 0;
}

/* Starts rclone again with what the mounter kept, only to upload what is left. */
static int serve_again(struct draining *d, struct err *e)
{
	auto_s3_bucket struct s3_bucket bucket = S3_BUCKET_NONE;
	const struct capability capability = { .mode = ACCESS_SINGLE_NODE_WRITER, .fs_type = "" };
	struct s3_view view;
	int config_fd;

	if (s3_child_config(d->node, d->id, &config_fd, e) < 0)
		return -1;
	if (config_fd < 0)
		return err_set(
			e, ERR_ABORTED,
			"the mounter no longer has the keys for it; stage the volume on that "
			"node again, and it is uploaded");
	if (s3_bucket_reopen(d->node, d->record, config_fd, &bucket, e) < 0)
		return -1;
	/* On a cache that is not empty rclone is started only when S3 answers: see rclone.md. */
	if (s3_bucket_probe(&bucket, &view, e) < 0 || s3_holder_check(d->node, &bucket, e) < 0)
		return -1;
	log_info("starting rclone only to upload what is left", KV("volume", d->id));
	return s3_serve(d->node, d->record, &bucket, &capability, &d->target, S3_SERVE_DRAIN, e);
}

static void warn_of_holder(const struct draining *d, const char *why)
{
	if (strcmp(d->record->node, d->node->id) == 0)
		log_warn("the volume is drained, and its bucket cannot be told: where it was "
			 "staged for writing, another node must be told with lcw volume release",
			 KV("volume", d->id), KV("error", why));
}

/*
 * The volume is free for another node. That S3 refuses the keys (they were revoked) does not stop
 * it: a retry would have the same ones.
 */
static int give_back(const struct draining *d, struct err *e)
{
	auto_s3_bucket struct s3_bucket bucket = S3_BUCKET_NONE;
	int config_fd;

	if (s3_child_config(d->node, d->id, &config_fd, e) < 0)
		return -1;
	if (config_fd < 0) {
		warn_of_holder(d, "the mounter lost the keys");
		return 0;
	}
	if (s3_bucket_reopen(d->node, d->record, config_fd, &bucket, e) < 0)
		return -1;
	if (s3_holder_drop(d->node, &bucket, e) < 0) {
		if (e->sys != EACCES)
			return -1;
		warn_of_holder(d, e->msg);
	}
	return s3_child_forget(d->node, d->id, e);
}

static int drain(struct draining *d, struct err *e)
{
	bool clean;

	for (int round = 0; round < 2; round++) {
		if (look(d, e) < 0 || check_not_published(d, e) < 0)
			return -1;
		if ((d->mount && d->child.alive ? drain_mounted(d, round == 0, e)
						: clear_dead(d, e)) < 0 ||
		    check_cache(d, &clean, e) < 0)
			return -1;
		if (clean)
			return 0;
		if (round == 0 && serve_again(d, e) < 0) {
			const struct err why = *e;

			return refuse_dirty(d, why.msg, e);
		}
	}
	return refuse_dirty(d, "rclone ended without uploading them; the next call goes on", e);
}

/* CSI: a path at which the volume is not staged, though it is elsewhere, is nothing to do. */
static int is_staged_elsewhere(const struct draining *d, bool *ret_yes, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	*ret_yes = !mount_table_at(&mounts, d->target.path) &&
		   s3_mount_staged(&mounts, d->node, d->id);
	return 0;
}

int s3_unstage(const struct node *node, const struct volume_record *record,
	       const char *staging_path, int64_t deadline_ms, struct volume_record *ret_record,
	       struct err *e)
{
	int64_t longest = clock_ms() + LONGEST_MS;
	__attribute__((cleanup(draining_done))) struct draining d = {
		.node = node,
		.record = record,
		.id = record->id,
		.end_ms = (deadline_ms < longest ? deadline_ms : longest) - ANSWER_MS,
	};
	bool elsewhere, exists;

	if (target_parse(&node->kubelet, staging_path, "staging path", &d.target, e) < 0 ||
	    is_staged_elsewhere(&d, &elsewhere, e) < 0)
		return -1;
	volume_record_copy(record, ret_record);
	if (elsewhere)
		return 0;
	if (drain(&d, e) < 0 || s3_cache_exists(node, d.id, &exists, e) < 0)
		return -1;
	if (exists && (s3_cache_mark_clean(node, d.id, e) < 0 ||
		       s3_cache_close(node, d.id, e) < 0 || s3_cache_remove(node, d.id, e) < 0))
		return -1;
	if (give_back(&d, e) < 0)
		return -1;
	if (strcmp(record->node, node->id) == 0)
		*ret_record->node = '\0';
	return 0;
}
