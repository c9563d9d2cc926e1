/* The images in a folder of volumes. */
#include "engine/local_images.h"

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

static bool is_there(int fd, const char *folder, const char *name)
{
	char path[2 * VOLUME_NAME_SIZE];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void add(struct local_images *images, int fd, const char *id)
{
	char name[VOLUME_NAME_SIZE];
	struct err ignored;

	if (volume_id_check(id, &ignored) < 0)
		return;
	volume_image_name(id, name);
	if (!is_there(fd, id, name))
		return;
	images->all = xrealloc(images->all, (images->count + 1) * sizeof(*images->all));
	struct local_image *image = &images->all[images->count++];
	snprintf(image->id, sizeof(image->id), "%s", id);
	image->has_record = is_there(fd, id, VOLUME_RECORD_NAME);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct local_image *)a)->id, ((const struct local_image *)b)->id);
}

int local_images_read(const struct node *node, const char *local_path,
		      struct local_images *ret_images, struct err *e)
{
	auto_close int root = open(node->host_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = root < 0 ? -errno
			  : fd_open_beneath(root, local_path + 1, O_RDONLY | O_DIRECTORY, 0);
	auto_closedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	*ret_images = (struct local_images){ 0 };
	if (fd == -ENOENT)
		return 0;
	if (!dir)
		return err_sys(e, fd < 0 ? -fd : errno, "cannot look into '%s'", local_path);
	for (struct dirent *entry; (entry = readdir(dir));)
		add(ret_images, fd, entry->d_name);
	if (ret_images->count)
		qsort(ret_images->all, ret_images->count, sizeof(*ret_images->all), by_id);
	return 0;
}

void local_images_done(struct local_images *images)
{
	free(images->all);
}
