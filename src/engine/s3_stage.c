/* NodeStageVolume of an S3 volume: key check, holder, cache, mount. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/s3_cache.h"
#include "engine/s3_child.h"
#include "engine/s3_holder.h"
#include "engine/s3_mount.h"
#include "engine/s3_rebind.h"
#include "engine/s3_serve.h"
#include "s3/rclone_version.h"
#include "sys/mount.h"

/* What one staging works on, and what it opened itself and takes back when it fails. */
struct staging {
	const struct node *node;
	const struct s3_stage_request *request;
	const char *id;
	struct target target;
	struct s3_bucket bucket;
	bool writer;
	bool key_checked;    /* the prefix has a key check, so it is not as it was before */
	bool cache_may_hold; /* it was there before: what it holds may be nowhere else */
	bool holder_taken, holder_is_new, cache_touched, done;
};

static void warn_of(const struct staging *s, const char *what, const struct err *e)
{
	log_warn("cannot undo a step of a failed stage", KV("volume", s->id), KV("step", what),
		 KV("error", e->msg));
}

/* In the order of acquisition, backwards. A cache that may hold data stays, and its holder too. */
static void staging_done(struct staging *s)
{
	struct err e = { 0 };

	if (!s->done) {
		if (!s->cache_may_hold && s3_child_forget(s->node, s->id, &e) < 0)
			warn_of(s, "configuration", &e);
		/* Nothing was written; a cache without its holder would count as given up. */
		if (!s->cache_may_hold && s->cache_touched &&
		    s3_cache_mark_clean(s->node, s->id, &e) < 0)
			warn_of(s, "note on the cache", &e);
		if (s->cache_touched && s3_cache_close(s->node, s->id, &e) < 0)
			warn_of(s, "cache", &e);
		if ((s->holder_is_new || (s->holder_taken && s->cache_touched)) &&
		    !s->cache_may_hold && s3_holder_drop(s->node, &s->bucket, &e) < 0)
			warn_of(s, "holder", &e);
	}
	s3_bucket_done(&s->bucket);
}

/* *ret_served: the mount is there and its rclone lives, so nothing is to be done. */
static int look_at_mount(struct staging *s, bool *ret_served, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	const struct mount_entry *mount;
	struct s3_child child;

	*ret_served = false;
	if (mount_table_read(&mounts, e) < 0 ||
	    s3_mount_find(&mounts, &s->target, s->node, s->id, &mount, e) < 0)
		return -1;
	/* One staging path: with two, each unstage would wait for the other. */
	const struct mount_entry *staged = s3_mount_staged(&mounts, s->node, s->id);
	if (!mount && staged)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "volume '%s' is mounted at '%s' already, not at the staging path "
			       "'%s': unpublish and unstage it there first",
			       s->id, staged->target, s->target.path);
	if (s3_child_look_settled(s->node, s->id, &child, e) < 0)
		return -1;
	bool draining = mount && s->writer && mount_has_option(mount->super_options, "ro");
	if (mount && child.alive && !draining && (child.starting || !child.answers))
		return err_set(e, ERR_ABORTED,
			       "the rclone of volume '%s' %s: the mount is ready when it answers",
			       s->id,
			       child.starting ? "is still starting" : "runs and does not answer");
	/* A call that died before it saw that rclone goes without its cache left one that does. */
	bool cached = child.queue_known || !s3_cache_is_used(s->request->record);
	if (mount && child.alive && !draining && cached) {
		*ret_served = true;
		return 0;
	}
	/* An unstage was broken off: what it mounted is not what a pod should have. */
	if (mount && child.alive && draining)
		return mount_remove(s->target.path, e) < 0 ? -1 : s3_child_wait(s->node, s->id, e);
	if (child.alive && s3_child_kill(s->node, s->id, e) < 0)
		return -1;
	if (!mount)
		return 0;
	log_warn("mount lost its rclone: mounting anew on the same cache", KV("volume", s->id),
		 KV("path", s->target.path));
	return mount_detach(s->target.path, e);
}

/* Whether data of this volume may be on this node alone, and whether they may go to S3. */
static int look_at_cache(struct staging *s, struct err *e)
{
	if (!s3_cache_is_used(s->request->record))
		return 0;
	if (s3_cache_may_hold(s->node, s->id, &s->cache_may_hold, e) < 0)
		return -1;
	/* Before the volume is taken, so that a call that dies in between does not make it ours. */
	return s->cache_may_hold ? s3_holder_check(s->node, &s->bucket, e) : 0;
}

/*
 * A cache that holds nothing is made anew: a reader's, whose notes a crash may have cut off, would
 * seem to hold files that were not uploaded, and they may be older than those in S3.
 */
static int renew_cache(struct staging *s, struct err *e)
{
	bool exists;

	if (s3_cache_exists(s->node, s->id, &exists, e) < 0)
		return -1;
	if (exists &&
	    (s3_cache_close(s->node, s->id, e) < 0 || s3_cache_remove(s->node, s->id, e) < 0))
		return -1;
	return s->writer ? 0 : s3_cache_mark_clean(s->node, s->id, e);
}

static int open_cache(struct staging *s, struct err *e)
{
	enum s3_cache_use use = s->writer || s->cache_may_hold ? S3_CACHE_WRITES : S3_CACHE_READS;
	bool open;

	if (!s3_cache_is_used(s->request->record))
		return 0;
	if ((!s->cache_may_hold && renew_cache(s, e) < 0) ||
	    s3_cache_is_open(s->node, s->id, &open, e) < 0)
		return -1;
	s->cache_touched = !open;
	if (s->cache_may_hold && !open)
		log_info("cache of an earlier stage found: what it still holds goes to S3 first",
			 KV("volume", s->id));
	return s3_cache_open(s->node, s->request->record, s->request->secrets.passphrase, use, e);
}

static int stage(struct staging *s, struct err *e)
{
	const struct s3_stage_request *request = s->request;
	bool served;

	if (target_parse(&s->node->kubelet, request->staging_path, "staging path", &s->target, e) <
		    0 ||
	    s3_bucket_open(s->node, request->record, &request->secrets, S3_NEED_CRYPT, &s->bucket,
			   e) < 0 ||
	    look_at_mount(s, &served, e) < 0)
		return -1;
	if (served) /* by a call that may have died before it was done */
		return s3_rebind(s->node, s->id, s->target.path, e);
	if (rclone_version_ensure(s->node->rclone, s->node->run_dir, e) < 0)
		return -1;
	/* S3 has answered before rclone sees a cache that is not empty. */
	if (s3_key_check(s->node, request->record, request->unknown, &request->secrets, e) < 0)
		return -1;
	s->key_checked = true;
	if (look_at_cache(s, e) < 0 ||
	    (s->writer && s3_holder_take(s->node, &s->bucket, &s->holder_is_new, e) < 0))
		return -1;
	s->holder_taken = s->writer;
	if (open_cache(s, e) < 0 ||
	    s3_serve(s->node, request->record, &s->bucket, &request->capability, &s->target,
		     S3_SERVE_PODS, e) < 0)
		return -1;
	/* From here on it serves; what fails now is done by the next call, and nothing undone. */
	s->done = true;
	return s3_rebind(s->node, s->id, s->target.path, e);
}

int s3_stage(const struct node *node, const struct s3_stage_request *request,
	     struct volume_record *ret_record, struct err *e)
{
	__attribute__((cleanup(staging_done))) struct staging s = {
		.node = node,
		.request = request,
		.id = request->record->id,
		.bucket = S3_BUCKET_NONE,
		.writer = !capability_is_reader(&request->capability),
	};

	if (request->record->state == VOLUME_DELETING)
		return err_set(e, ERR_FAILED_PRECONDITION, "volume '%s' is being deleted", s.id);
	int rc = stage(&s, e);
	if (rc < 0 && !s.key_checked)
		return -1;
	volume_record_copy(request->record, ret_record);
	ret_record->state = VOLUME_FORMATTED;
	/* A reader must not hide that another node has the volume for writing. */
	if (rc == 0 && (s.writer || !*ret_record->node))
		snprintf(ret_record->node, sizeof(ret_record->node), "%s", node->id);
	return rc;
}
