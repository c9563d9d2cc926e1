/* The directory store: one JSON file per volume. */
#include "store/store.h"

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

#define RECORD_LIMIT (64 << 10)
#define SUFFIX ".json"

struct store {
	char *path;
	int dir_fd;
};

struct store *store_dir_open(const char *state_dir, struct err *e)
{
	auto_free char *path = xasprintf("%s/volumes", state_dir);
	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc = root < 0 ? -errno : fd_mkdirs_beneath(root, path + 1, 0700);

	int fd = rc < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		err_sys(e, rc < 0 ? -rc : errno, "cannot open the folder of records '%s'", path);
		return NULL;
	}
	struct store *store = xcalloc(1, sizeof(*store));
	store->path = TAKE(path, NULL);
	store->dir_fd = fd;
	return store;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	close(store->dir_fd);
	free(store->path);
	free(store);
}

int store_fd(const struct store *store)
{
	return store->dir_fd;
}

static void file_name(const char *id, char ret_name[VOLUME_NAME_SIZE])
{
	snprintf(ret_name, VOLUME_NAME_SIZE, "%s" SUFFIX, id);
}

int store_get(struct store *store, const char *id, struct volume_record *ret_record, struct err *e)
{
	char name[VOLUME_NAME_SIZE];
	auto_free char *text = NULL;
	auto_free char *shown = NULL;

	file_name(id, name);
	int rc = fd_read_file(store->dir_fd, name, RECORD_LIMIT, &text);
	if (rc == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, "volume '%s' does not exist", id);
	if (rc < 0)
		return err_sys(e, -rc, "cannot read record '%s/%s'", store->path, name);
	shown = xasprintf("%s/%s", store->path, name);
	return volume_record_parse(text, id, shown, ret_record, e);
}

int store_put(struct store *store, const struct volume_record *record, struct err *e)
{
	char name[VOLUME_NAME_SIZE];
	auto_free char *text = volume_record_format(record);

	file_name(record->id, name);
	int rc = fd_write_file_atomic(store->dir_fd, name, text);
	if (rc < 0)
		return err_sys(e, -rc, "cannot write record '%s/%s'", store->path, name);
	return 0;
}

int store_remove(struct store *store, const char *id, struct err *e)
{
	char name[VOLUME_NAME_SIZE];

	file_name(id, name);
	if (unlinkat(store->dir_fd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot remove record '%s/%s'", store->path, name);
	if (fsync(store->dir_fd) < 0)
		return err_sys(e, errno, "cannot sync '%s'", store->path);
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
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

int store_list(struct store *store, const char *after, size_t max, char ***ret_ids,
	       size_t *ret_count, bool *ret_more, struct err *e)
{
	int fd = openat(store->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char **ids = NULL;
	size_t count = 0;

	if (!dir)
		return err_sys(e, errno, "cannot list '%s'", store->path);
	for (struct dirent *entry; (entry = readdir(dir));) {
		char *id = id_of_file(entry->d_name);

		if (!id || strcmp(id, after) <= 0) {
			free(id);
			continue;
		}
		if (count % 64 == 0)
			ids = xrealloc(ids, (count + 64) * sizeof(*ids));
		ids[count++] = id;
	}
	if (count)
		qsort(ids, count, sizeof(*ids), compare_ids);

	*ret_more = max && count > max;
	while (max && count > max)
		free(ids[--count]);
	*ret_ids = ids;
	*ret_count = count;
	return 0;
}

void store_ids_free(char **ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(ids[i]);
	free(ids);
}
