/* The disks of local paths. */
#include "engine/local_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/host_path.h"

#define DISKS "disks.json"

enum { LIMIT = 1 << 20, WAIT_MS = 5000 };

static int open_state(const struct node *node, struct err *e)
{
	int fd = open(node->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, errno, "cannot open '%s' (see --state-dir)", node->state_dir)
		      : fd;
}

/* {"local-path": "mount point"}, both as the host knows them. */
static int read_disks(const struct node *node, int dir_fd, json_t **ret_disks, struct err *e)
{
	auto_free char *shown = xasprintf("%s/" DISKS, node->state_dir);
	auto_free char *text = NULL;
	int rc = fd_read_file(dir_fd, DISKS, LIMIT, &text);

	if (rc < 0 && rc != -ENOENT)
		return err_sys(e, -rc, "cannot read '%s'", shown);
	*ret_disks = text ? json_parse_object(text, shown, e) : json_object();
	return *ret_disks
		       ? 0
		       : err_wrap(e,
				  "the list of the disks of volumes is damaged (remove the file, "
				  "and it is learnt anew)");
}

static int lock_disks(const struct node *node, struct err *e)
{
	int lock = lock_wait(node->run_fd, "disks", WAIT_MS);

	return lock < 0 ? err_sys(e, -lock, "cannot lock '" DISKS "'") : lock;
}

/* The host's name of the mount point that covers the path. Owned by the caller. */
static char *mount_point_of(const struct node *node, const struct mount_table *table,
			    const char *local_path)
{
	auto_free char *path = host_path_here(node, local_path);
	const struct mount_entry *entry = mount_table_covering(table, path);
	const char *place = entry ? host_path_of(node, entry->target) : NULL;

	/* The host's root need not be a mount point here. */
	return xstrdup(place ? place : "/");
}

/* Both cover the same path: the longer one is the nearer one. */
static bool is_nearer(const char *place, const char *other)
{
	return strlen(place) > strlen(other);
}

int local_disk_check(const struct node *node, const char *local_path, struct err *e)
{
	auto_close int dir_fd = open_state(node, e);
	auto_mount_table struct mount_table table = { 0 };
	auto_json json_t *disks = NULL;

	if (dir_fd < 0 || read_disks(node, dir_fd, &disks, e) < 0)
		return -1;
	const char *before = json_string_value(json_object_get(disks, local_path));
	if (!before)
		return 0;
	if (mount_table_read(&table, e) < 0)
		return -1;
	auto_free char *now = mount_point_of(node, &table, local_path);
	return is_nearer(before, now)
		       ? err_set(e, ERR_RESOURCE_EXHAUSTED,
				 "no new volumes in '%s' on node '%s': the disk that was mounted "
				 "at '%s', on which its volumes lie, is not mounted: mount it; if "
				 "it was given up for good, remove '%s/" DISKS "'",
				 local_path, node->id, before, node->state_dir)
		       : 0;
}

void local_disk_missing(const struct node *node, const struct mount_table *table,
			struct node_texts *ret_places)
{
	struct err ignored;
	auto_close int dir_fd = open_state(node, &ignored);
	auto_json json_t *disks = NULL;
	const char *local_path;
	json_t *value;

	if (dir_fd < 0 || read_disks(node, dir_fd, &disks, &ignored) < 0)
		return;
	json_object_foreach(disks, local_path, value)
	{
		const char *before = json_string_value(value);
		auto_free char *now = mount_point_of(node, table, local_path);

		if (before && is_nearer(before, now))
			node_texts_add(ret_places, before);
	}
}

static bool is_news(const json_t *disks, const char *local_path, const char *now)
{
	const char *before = json_string_value(json_object_get(disks, local_path));

	return !before || is_nearer(now, before);
}

static int remember(const struct node *node, const char *local_path, struct err *e)
{
	auto_mount_table struct mount_table table = { 0 };
	auto_json json_t *seen = NULL, *disks = NULL;
	auto_close int dir_fd = open_state(node, e);

	if (dir_fd < 0 || mount_table_read(&table, e) < 0 || read_disks(node, dir_fd, &seen, e) < 0)
		return -1;
	auto_free char *now = mount_point_of(node, &table, local_path);
	if (!is_news(seen, local_path, now))
		return 0;
	auto_close int lock = lock_disks(node, e);
	if (lock < 0 || read_disks(node, dir_fd, &disks, e) < 0)
		return -1;
	if (!is_news(disks, local_path, now))
		return 0;
	json_object_set_new(disks, local_path, json_string(now));
	auto_free char *text = json_text(disks);
	int rc = fd_write_file_atomic(dir_fd, DISKS, text);
	return rc < 0 ? err_sys(e, -rc, "cannot write '" DISKS "'") : 0;
}

void local_disk_remember(const struct node *node, const char *local_path)
{
	struct err e;

	if (remember(node, local_path, &e) < 0)
		log_warn("cannot remember on which disk volumes lie", KV("localPath", local_path),
			 KV("error", e.msg));
}
