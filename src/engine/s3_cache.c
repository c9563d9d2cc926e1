/* The cache of an S3 volume on this node. */
#include "engine/s3_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/parse.h"
#include "sys/mountinfo.h"

/*
 * --vfs-cache-max-size is a wish of rclone's: open and not uploaded files are never evicted, and it
 * looks only now and then. A full cache costs data (research/rclone.md, 0.4), so there is more
 * room than rclone knows of.
 */
static uint64_t bytes_of(const struct params *params)
{
	uint64_t wish = 0, bytes;

	parse_size(params->value[PARAM_VFS_CACHE_MAX_SIZE], &wish);
	bytes = wish + wish / 4 + (64 << 20);
	return (bytes + (1 << 20) - 1) >> 20 << 20;
}

bool s3_cache_is_used(const struct volume_record *record)
{
	return strcmp(record->params.value[PARAM_VFS_CACHE_MODE], "off") != 0;
}

void s3_cache_path(const struct node *node, const char *id, char ret_path[PATH_MAX])
{
	snprintf(ret_path, PATH_MAX, "%s/cache/%s", node->run_dir, id);
}

/* The local engine's view of where caches lie and are mounted: not kubelet's folder, but ours. */
struct cache_node {
	struct node node;
	char *local_path;
	char path[PATH_MAX]; /* of the mount */
};
#define CACHE_NODE_NONE ((struct cache_node){ .node = { .kubelet = { .fd = -1 } } })

static void cache_node_done(struct cache_node *cache)
{
	cleanup_close(&cache->node.kubelet.fd);
	free(cache->local_path);
}
#define auto_cache_node __attribute__((cleanup(cache_node_done)))

static int cache_node_open(const struct node *node, const char *id, struct cache_node *ret_cache,
			   struct err *e)
{
	auto_free char *mounts = xasprintf("%s/cache", node->run_dir);
	bool shared;

	if (mkdirat(node->run_fd, "cache", 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make the folder '%s'", mounts);
	ret_cache->node = *node;
	ret_cache->node.host_root = "/";
	ret_cache->node.allow_count = 0;
	ret_cache->node.kubelet.fd = -1;
	ret_cache->local_path = xasprintf("%s/cache", node->state_dir);
	if (kubelet_dir_open(mounts, &ret_cache->node.kubelet, &shared, e) < 0)
		return -1;
	snprintf(ret_cache->path, sizeof(ret_cache->path), "%s/%s", mounts, id);
	return 0;
}

/* What the volume's record says of its encryption holds for the cache too. */
static int fill_record(const struct volume_record *record, const struct cache_node *cache,
		       struct volume_record *ret_wanted, struct err *e)
{
	static const enum param same[] = { PARAM_ALLOCATION,
					   PARAM_LUKS_CIPHER,
					   PARAM_LUKS_KEY_SIZE,
					   PARAM_LUKS_SECTOR_SIZE,
					   PARAM_LUKS_PBKDF,
					   PARAM_LUKS_PBKDF_MEMORY,
					   PARAM_LUKS_PBKDF_ITERATIONS,
					   PARAM_LUKS_PBKDF_PARALLEL };
	struct text_pair pairs[ARRAY_LEN(same) + 1] = { { "local-path", cache->local_path } };
	time_t now = time(NULL);
	struct tm utc;

	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		pairs[i + 1] = (struct text_pair){ param_rules[same[i]].key,
						   record->params.value[same[i]] };
	if (params_parse(pairs, ARRAY_LEN(pairs), &ret_wanted->params, e) < 0)
		return -1;
	memcpy(ret_wanted->id, record->id, sizeof(ret_wanted->id));
	memcpy(ret_wanted->name, record->id, sizeof(ret_wanted->name));
	snprintf(ret_wanted->node, sizeof(ret_wanted->node), "%s", cache->node.id);
	ret_wanted->capacity_bytes = bytes_of(&record->params);
	ret_wanted->data_offset_bytes = LUKS_HEADER_BYTES;
	gmtime_r(&now, &utc);
	strftime(ret_wanted->created, sizeof(ret_wanted->created), "%Y-%m-%dT%H:%M:%SZ", &utc);
	return 0;
}

#define CLEAN_SUFFIX ".clean" /* in the folder of the caches */

static int open_clean_folder(const struct node *node, const char *id, char **ret_name, int *ret_fd,
			     struct err *e)
{
	auto_free char *path = xasprintf("%s/cache", node->state_dir);
	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc = root < 0 ? -errno : fd_mkdirs_beneath(root, path + 1, 0700);

	*ret_fd = rc < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return err_sys(e, rc < 0 ? -rc : errno, "cannot open the folder '%s'", path);
	*ret_name = xasprintf("%s" CLEAN_SUFFIX, id);
	return 0;
}

int s3_cache_mark_clean(const struct node *node, const char *id, struct err *e)
{
	auto_free char *name = NULL;
	auto_close int dir = -1;

	if (open_clean_folder(node, id, &name, &dir, e) < 0)
		return -1;
	int rc = fd_write_file_atomic(dir, name, "");
	return rc < 0 ? err_sys(e, -rc, "cannot note that the cache of '%s' is clean", id) : 0;
}

static int is_marked_clean(const struct node *node, const char *id, bool *ret_clean, struct err *e)
{
	auto_free char *name = NULL;
	auto_close int dir = -1;

	if (open_clean_folder(node, id, &name, &dir, e) < 0)
		return -1;
	*ret_clean = faccessat(dir, name, F_OK, 0) == 0;
	if (!*ret_clean && errno != ENOENT)
		return err_sys(e, errno, "cannot look at the cache of '%s'", id);
	return 0;
}

static int unmark_clean(const struct node *node, const char *id, struct err *e)
{
	auto_free char *name = NULL;
	auto_close int dir = -1;

	if (open_clean_folder(node, id, &name, &dir, e) < 0)
		return -1;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot change the note on the cache of '%s'", id);
	return fsync(dir) < 0 ? err_sys(e, errno, "cannot sync the folder of caches") : 0;
}

int s3_cache_open(const struct node *node, const struct volume_record *record,
		  const struct secret *passphrase, enum s3_cache_use use, struct err *e)
{
	static const char *const flags[] = { "nosuid", "nodev", "noexec", "noatime" };
	auto_cache_node struct cache_node cache = CACHE_NODE_NONE;
	auto_record struct volume_record wanted = { 0 }, made = { 0 }, staged = { 0 };

	if (cache_node_open(node, record->id, &cache, e) < 0 ||
	    (use == S3_CACHE_WRITES && unmark_clean(node, record->id, e) < 0) ||
	    fill_record(record, &cache, &wanted, e) < 0)
		return -1;
	if (local_create(&cache.node, &wanted, &made, e) < 0)
		return err_wrap(e, "the cache of volume '%s'", record->id);
	const struct stage_request request = {
		.id = record->id,
		.staging_path = cache.path,
		.capability = { .mode = ACCESS_SINGLE_NODE_WRITER,
				.fs_type = "",
				.flags = flags,
				.flag_count = ARRAY_LEN(flags) },
		.passphrase = passphrase,
	};
	if (local_stage(&cache.node, cache.local_path, &request, &staged, e) < 0)
		return err_wrap(e, "the cache of volume '%s'", record->id);
	return 0;
}

static int load(const struct node *node, const char *id, bool *ret_exists,
		enum volume_state *ret_state, struct err *e)
{
	auto_cache_node struct cache_node cache = CACHE_NODE_NONE;
	auto_record struct volume_record record = { 0 };

	if (cache_node_open(node, id, &cache, e) < 0)
		return -1;
	*ret_exists = local_load(&cache.node, cache.local_path, id, &record, e) == 0;
	*ret_state = record.state;
	return *ret_exists || e->code == ERR_NOT_FOUND ? 0 : -1;
}

int s3_cache_exists(const struct node *node, const char *id, bool *ret_exists, struct err *e)
{
	enum volume_state ignored;

	return load(node, id, ret_exists, &ignored, e);
}

int s3_cache_may_hold(const struct node *node, const char *id, bool *ret_may_hold, struct err *e)
{
	enum volume_state state;
	bool exists, clean = true;

	if (load(node, id, &exists, &state, e) < 0 ||
	    (exists && is_marked_clean(node, id, &clean, e) < 0))
		return -1;
	/* An unformatted one was never mounted, so no rclone ever wrote into it. */
	*ret_may_hold = exists && !clean && state == VOLUME_FORMATTED;
	return 0;
}

int s3_cache_is_open(const struct node *node, const char *id, bool *ret_open, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	auto_cache_node struct cache_node cache = CACHE_NODE_NONE;
	struct target target;

	if (cache_node_open(node, id, &cache, e) < 0 ||
	    target_parse(&cache.node.kubelet, cache.path, "cache", &target, e) < 0 ||
	    mount_table_read(&mounts, e) < 0)
		return -1;
	*ret_open = mount_table_at(&mounts, target.path) != NULL;
	return 0;
}

int s3_cache_close(const struct node *node, const char *id, struct err *e)
{
	auto_cache_node struct cache_node cache = CACHE_NODE_NONE;
	struct target target;

	if (cache_node_open(node, id, &cache, e) < 0 ||
	    target_parse(&cache.node.kubelet, cache.path, "cache", &target, e) < 0 ||
	    local_unstage(&cache.node, id, cache.path, e) < 0 || target_remove(&target, e) < 0)
		return -1;
	return 0;
}

int s3_cache_remove(const struct node *node, const char *id, struct err *e)
{
	auto_cache_node struct cache_node cache = CACHE_NODE_NONE;

	if (cache_node_open(node, id, &cache, e) < 0 ||
	    local_delete(&cache.node, cache.local_path, id, e) < 0)
		return -1;
	return unmark_clean(node, id, e);
}
