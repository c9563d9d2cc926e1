/* The directory store: one JSON file per volume. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mem.h"
#include "store/store_ops.h"

#define RECORD_LIMIT (64 << 10)
#define SUFFIX ".json"

struct store_dir {
	struct store store;
	char *path;
	int dir_fd;
};

static struct store_dir *dir_of(struct store *store)
{
	return (struct store_dir *)store;
}

static void dir_close(struct store *store)
{
	struct store_dir *dir = dir_of(store);

	close(dir->dir_fd);
	free(dir->path);
	free(dir);
}

static int dir_fd(const struct store *store)
{
	return ((const struct store_dir *)store)->dir_fd;
}

static void file_name(const char *id, char ret_name[VOLUME_NAME_SIZE])
{
	snprintf(ret_name, VOLUME_NAME_SIZE, "%s" SUFFIX, id);
}

static int dir_get(struct store *store, const char *id, struct volume_record *ret_record,
		   struct err *e)
{
	const struct store_dir *dir = dir_of(store);
	char name[VOLUME_NAME_SIZE];
	auto_free char *text = NULL;
	auto_free char *shown = NULL;

	file_name(id, name);
	int rc = fd_read_file(dir->dir_fd, name, RECORD_LIMIT, &text);
	if (rc == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, "volume '%s' does not exist", id);
	if (rc < 0)
		return err_sys(e, -rc, "cannot read record '%s/%s'", dir->path, name);
	shown = xasprintf("%s/%s", dir->path, name);
	return volume_record_parse(text, id, shown, ret_record, e);
}

static int dir_put(struct store *store, const struct volume_record *record, struct err *e)
{
	const struct store_dir *dir = dir_of(store);
	char name[VOLUME_NAME_SIZE];
	auto_free char *text = volume_record_format(record);

	file_name(record->id, name);
	int rc = fd_write_file_atomic(dir->dir_fd, name, text);
	if (rc < 0)
		return err_sys(e, -rc, "cannot write record '%s/%s'", dir->path, name);
	return 0;
}

static int dir_remove(struct store *store, const char *id, struct err *e)
{
	const struct store_dir *dir = dir_of(store);
	char name[VOLUME_NAME_SIZE];

	file_name(id, name);
	if (unlinkat(dir->dir_fd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot remove record '%s/%s'", dir->path, name);
	if (fsync(dir->dir_fd) < 0)
		return err_sys(e, errno, "cannot sync '%s'", dir->path);
	return 0;
}

/* "pvc-1.json" gives "pvc-1"; other files (temporary ones) give NULL. Owned by the caller. */
static char *id_of_file(const char *name)
{
	size_t length = strlen(name), suffix = strlen(SUFFIX);
	struct err ignored;

	if (length <= suffix || strcmp(name + length - suffix, SUFFIX) != 0)
		return NULL;
	char *id = xstrdup(name);
	id[length - suffix] = '\0';
	if (volume_id_check(id, &ignored) < 0) {
		free(id);
		return NULL;
	}
	return id;
}

static int dir_ids(struct store *store, const char *after, char ***ret_ids, size_t *ret_count,
		   struct err *e)
{
	const struct store_dir *dir = dir_of(store);
	int fd = openat(dir->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	struct store_ids list = { 0 };

	if (!entries)
		return err_sys(e, errno, "cannot list '%s'", dir->path);
	for (struct dirent *entry; (entry = readdir(entries));) {
		auto_free char *id = id_of_file(entry->d_name);

		if (id && strcmp(id, after) > 0)
			store_ids_add(&list, id);
	}
	*ret_ids = list.ids;
	*ret_count = list.count;
	return 0;
}

static int dir_each(struct store *store, store_each_fn *each, void *data, struct err *e)
{
	char **ids = NULL;
	size_t count = 0;
	int rc = 0;

	if (dir_ids(store, "", &ids, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count && rc == 0; i++) {
		auto_record struct volume_record record = { 0 };
		struct err why = { 0 };

		if (dir_get(store, ids[i], &record, &why) == 0) {
			rc = each(data, ids[i], &record, e);
		} else if (why.code != ERR_NOT_FOUND) { /* else removed since it was listed */
			*e = why;
			rc = each(data, ids[i], NULL, e);
		}
	}
	store_ids_free(ids, count);
	return rc;
}

struct store *store_dir_open(const char *state_dir, struct err *e)
{
	static const struct store_ops ops = {
		.close = dir_close,
		.fd = dir_fd,
		.get = dir_get,
		.put = dir_put,
		.remove = dir_remove,
		.ids = dir_ids,
		.each = dir_each,
	};
	auto_free char *path = xasprintf("%s/volumes", state_dir);
	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc = root < 0 ? -errno : fd_mkdirs_beneath(root, path + 1, 0700);

	int fd = rc < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		err_sys(e, rc < 0 ? -rc : errno, "cannot open the folder of records '%s'", path);
		return NULL;
	}
	struct store_dir *dir = xcalloc(1, sizeof(*dir));
	dir->store.ops = &ops;
	dir->path = TAKE(path, NULL);
	dir->dir_fd = fd;
	return &dir->store;
}
