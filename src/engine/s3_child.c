/* The rclone of a staged volume: class parameters into flags, and its state into numbers. */
#include "engine/s3_child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/owner.h"
#include "base/parse.h"
#include "s3/mounter_client.h"
#include "s3/rclone_rc.h"

enum { FLAGS_MAX = 48, RC_MS = 5000, END_MS = 30 * 1000, CACHE_MS = 20 * 1000 };

/* Until rclone serves; in a second of it a far S3 server answers for some four dirty files. */
enum { READY_MS = 4 * 60 * 1000, READY_FILE_MS = 250, READY_FILES_MAX = 20000 };

static struct mounter mounter_of(const struct node *node)
{
	return (struct mounter){ .run_dir = node->run_dir,
				 .socket_path = node->mounter_socket,
				 .rclone = node->rclone,
				 .spawns = !node->mounter_socket };
}

/* Flags, owned; the list ends with NULL. */
struct flags {
	char *list[FLAGS_MAX + 1];
	size_t count;
};

static void flags_done(struct flags *flags)
{
	for (size_t i = 0; i < flags->count; i++)
		free(flags->list[i]);
}

static void add(struct flags *flags, char *flag_take)
{
	if (flags->count == FLAGS_MAX)
		abort();
	flags->list[flags->count++] = flag_take;
}

static void add_parameters(struct flags *flags, const struct params *params)
{
	static const struct {
		const char *flag;
		enum param which;
	} same[] = {
		{ "--vfs-cache-mode", PARAM_VFS_CACHE_MODE },
		{ "--vfs-cache-max-age", PARAM_VFS_CACHE_MAX_AGE },
		{ "--vfs-cache-poll-interval", PARAM_VFS_CACHE_POLL_INTERVAL },
		{ "--dir-cache-time", PARAM_DIR_CACHE_TIME },
		{ "--attr-timeout", PARAM_ATTR_TIMEOUT },
		{ "--vfs-read-chunk-streams", PARAM_VFS_READ_CHUNK_STREAMS },
	};
	uint64_t bytes = 0;

	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		add(flags, xasprintf("%s=%s", same[i].flag, params->value[same[i].which]));
	parse_size(params->value[PARAM_VFS_CACHE_MAX_SIZE], &bytes);
	add(flags, xasprintf("--vfs-cache-max-size=%" PRIu64 "B", bytes));
	add(flags, xasprintf("--vfs-cache-min-free-space=%" PRIu64 "B", bytes / 16));
}

/* S3 knows no owners: everything belongs to root and the group, with the class's mode. */
static void add_owner(struct flags *flags, const struct params *params,
		      const struct capability *capability)
{
	uint32_t group = 0;
	unsigned mode;
	bool has_group = params_fs_group(params, &group);

	if (!has_group && capability->has_group) {
		has_group = true;
		group = capability->group;
	}
	if (!params_fs_mode(params, &mode))
		mode = has_group ? 0775 : 0755;
	add(flags, xasprintf("--uid=0"));
	add(flags, xasprintf("--gid=%u", group));
	add(flags, xasprintf("--umask=000"));
	add(flags, xasprintf("--dir-perms=0%o", mode & 0777));
	add(flags, xasprintf("--file-perms=0%o", mode & 0666));
}

/* Our own folder: the key check and the holder are not the pod's. */
static const char hidden_folder[] = "--exclude=/" S3_OWN_FOLDER "/**";

/*
 * --low-level-retries: rclone tries each request that often, further and further apart, and repeats
 * an upload, or what a pod reads, as often; only when all have failed can it be told. With 5, a
 * request that is refused fails after 20 s, one that is never answered (--timeout) after 5 minutes.
 * With 10, rclone's default, the first took more than 4 minutes.
 */
static void add_habits(struct flags *flags)
{
	static const char *const habits[] = {
		"--poll-interval=0",	 "--vfs-handle-caching=0s", "--vfs-fast-fingerprint",
		"--buffer-size=4M",	 "--transfers=4",	    "--vfs-read-ahead=16M",
		"--low-level-retries=5", "--contimeout=10s",	    "--timeout=1m",
		hidden_folder,
	};

	for (size_t i = 0; i < ARRAY_LEN(habits); i++)
		add(flags, xstrdup(habits[i]));
}

/* Without its cache rclone goes on, and says so in its log only. */
static int check_cache_works(const struct node *node, const char *id, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	auto_free char *rc_socket = mounter_rc_socket(node->run_dir, id);
	int64_t end = clock_ms() + CACHE_MS;
	struct rclone_stats stats;

	while (rclone_rc_stats(rc_socket, RC_MS, &stats, e) < 0) {
		if (clock_ms() > end)
			return -1;
		nanosleep(&pause, NULL);
	}
	return stats.has_cache
		       ? 0
		       : err_set(e, ERR_FAILED_PRECONDITION,
				 "rclone could not use the cache of volume '%s': see the log "
				 "of the mounter",
				 id);
}

static int64_t patience_for(uint64_t dirty)
{
	return READY_MS +
	       (int64_t)(dirty < READY_FILES_MAX ? dirty : READY_FILES_MAX) * READY_FILE_MS;
}

/*
 * The cache belongs to who uses it, also one that rclone had as root in an earlier version. That
 * user reaches no folder of ours, so it gets this one opened.
 */
static int hand_over_cache(const struct mounter *mounter, const struct s3_child_wish *wish,
			   struct flags *flags, int *ret_fd, struct err *e)
{
	const char *id = wish->record->id;
	uid_t user;

	*ret_fd = -1;
	if (!wish->cache_path)
		return 0;
	if (mounter_user(mounter, id, &user, e) < 0 || owner_give(wish->cache_path, user, e) < 0)
		return err_wrap(e, "the cache of volume '%s' cannot be handed to rclone", id);
	if (user == 0) {
		add(flags, xasprintf("--cache-dir=%s", wish->cache_path));
		return 0;
	}
	*ret_fd = open(wish->cache_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? err_sys(e, errno, "cannot open the cache of volume '%s'", id) : 0;
}

int s3_child_start(const struct node *node, const struct s3_child_wish *wish, struct err *e)
{
	__attribute__((cleanup(flags_done))) struct flags flags = { 0 };
	const struct params *params = &wish->record->params;
	const struct mounter mounter = mounter_of(node);
	auto_close int cache_fd = -1;
	uint64_t memory_limit = 0;

	add_parameters(&flags, params);
	add(&flags, xasprintf("--vfs-write-back=%s",
			      wish->hurry ? "1s" : params->value[PARAM_VFS_WRITE_BACK]));
	add_owner(&flags, params, wish->capability);
	add_habits(&flags);
	add(&flags,
	    xasprintf("--vfs-disk-space-total-size=%" PRIu64 "B", wish->record->capacity_bytes));
	if (wish->read_only)
		add(&flags, xstrdup("--read-only"));
	if (hand_over_cache(&mounter, wish, &flags, &cache_fd, e) < 0)
		return -1;
	parse_size(params->value[PARAM_RCLONE_MEMORY_LIMIT], &memory_limit);
	const struct mounter_start start = {
		.id = wish->record->id,
		.flags = (const char *const *)flags.list,
		.fuse_fd = wish->fuse_fd,
		.config_fd = wish->bucket->tool.config_fd,
		.cache_fd = cache_fd,
		.memory_limit = memory_limit,
		.patience_ms = patience_for(wish->dirty),
	};
	if (mounter_start(&mounter, &start, e) < 0)
		return err_wrap(e, "cannot mount volume '%s'", start.id);
	return wish->cache_path ? check_cache_works(node, start.id, e) : 0;
}

int s3_child_look(const struct node *node, const char *id, struct s3_child *ret_child,
		  struct err *e)
{
	auto_free char *rc_socket = mounter_rc_socket(node->run_dir, id);
	const struct mounter mounter = mounter_of(node);
	struct mounter_status status;
	struct rclone_stats stats;
	struct err why = { 0 };

	memset(ret_child, 0, sizeof(*ret_child));
	if (mounter_look(&mounter, id, &status, e) < 0)
		return -1;
	ret_child->known = status.known;
	ret_child->alive = status.alive;
	ret_child->starting = status.starting;
	if (!status.alive) {
		snprintf(ret_child->error, sizeof(ret_child->error), "%s", status.error);
		return 0;
	}
	if (rclone_rc_stats(rc_socket, RC_MS, &stats, &why) < 0) {
		snprintf(ret_child->error, sizeof(ret_child->error), "%.255s", why.msg);
		return 0;
	}
	ret_child->answers = true;
	ret_child->queue_known = stats.has_cache;
	ret_child->queued = stats.queued;
	ret_child->uploading = stats.uploading;
	ret_child->queued_bytes = stats.waiting_bytes;
	ret_child->cache_bytes = stats.cache_bytes;
	ret_child->out_of_space = stats.out_of_space;
	/* An old error of an upload that went well since is no news. */
	if (stats.failed)
		snprintf(ret_child->error, sizeof(ret_child->error), "%s",
			 *status.error ? status.error : "an upload failed");
	return 0;
}

int s3_child_look_settled(const struct node *node, const char *id, struct s3_child *ret_child,
			  struct err *e)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	int64_t end = clock_ms() + RC_MS;

	for (;;) {
		if (s3_child_look(node, id, ret_child, e) < 0)
			return -1;
		bool serves = ret_child->answers && !ret_child->starting;
		if (!ret_child->alive || serves || clock_ms() > end)
			return 0;
		nanosleep(&pause, NULL);
	}
}

int s3_child_wait(const struct node *node, const char *id, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
	const struct mounter mounter = mounter_of(node);
	int64_t end = clock_ms() + END_MS;
	struct mounter_status status;

	for (;;) {
		if (mounter_look(&mounter, id, &status, e) < 0)
			return -1;
		if (!status.alive)
			break;
		if (clock_ms() > end)
			return err_set(e, ERR_ABORTED,
				       "the rclone of volume '%s' does not end after it was "
				       "unmounted",
				       id);
		nanosleep(&pause, NULL);
	}
	/* How it ended says little about what it uploaded; its cache does (check_cache()). */
	return 0;
}

int s3_child_config(const struct node *node, const char *id, int *ret_fd, struct err *e)
{
	const struct mounter mounter = mounter_of(node);

	return mounter_config(&mounter, id, ret_fd, e);
}

int s3_child_forget(const struct node *node, const char *id, struct err *e)
{
	const struct mounter mounter = mounter_of(node);

	return mounter_forget(&mounter, id, e);
}

int s3_child_kill(const struct node *node, const char *id, struct err *e)
{
	const struct mounter mounter = mounter_of(node);

	return mounter_kill(&mounter, id, e);
}
