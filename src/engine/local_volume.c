/* The folder of a local volume: opening it, and its record. */
#include "engine/local_volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/lock.h"
#include "base/parse.h"
#include "engine/local_disk.h"
#include "sys/image.h"
#include "volume/node_room.h"

#define RECORD_LIMIT (64 << 10)

/* {local-path}/{id} may not hold the folder either. */
static bool meets(const char *local_path, const char *id, const char *folder)
{
	char path[PATH_MAX + VOLUME_NAME_SIZE];

	if (!folder || !*folder) /* the role `controller` knows no kubelet folder */
		return false;
	if (path_is_within(local_path, folder))
		return true;
	snprintf(path, sizeof(path), "%s/%s", local_path, id ? id : "");
	return id && path_is_within(folder, path);
}

int local_path_check(const struct node *node, const char *local_path, const char *id, struct err *e)
{
	const struct {
		const char *folder, *name;
	} taken[] = {
		{ node->kubelet.given, "kubelet's folder" },
		{ node->kubelet.resolved, "kubelet's folder" },
		{ node->state_dir, "the driver's own folder (--state-dir)" },
		{ node->run_dir, "the driver's own folder (--run-dir)" },
	};
	bool allowed = node->allow_count == 0;

	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (meets(local_path, id, taken[i].folder))
			return err_set(e, ERR_INVALID_ARGUMENT,
				       "local-path '%s' would put the volume into %s, '%s': choose "
				       "a folder of its own",
				       local_path, taken[i].name, taken[i].folder);
	for (size_t i = 0; i < node->allow_count; i++)
		allowed = allowed || path_is_within(local_path, node->allow_paths[i]);
	if (!allowed)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "local-path '%s' is not allowed on this node (see --allow-path)",
			       local_path);
	return 0;
}

static int open_host_root(const struct node *node, struct err *e)
{
	int fd = open(node->host_root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "cannot open the host's root '%s' (see --host-root)",
			       node->host_root);
	return fd;
}

/* "" and "." are the root itself. */
static int open_below(int root, const char *path, int *ret_fd)
{
	int fd = fd_open_beneath(root, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	*ret_fd = fd;
	return fd < 0 ? fd : 0;
}

static int refuse_path(const char *path, int errnum, struct err *e)
{
	if (errnum == ELOOP || errnum == EXDEV)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s' leads through a symbolic link: name the real folder in local-path",
			path);
	if (errnum == ENOTDIR)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s' cannot be a volume's folder, because a file lies there or "
			       "above it: move it away",
			       path);
	return err_sys(e, errnum, "cannot open the folder '%s'", path);
}

/* The name must be durable before anything is: a record without a folder would be lost. */
static int make_folder(int parent_fd, const char *id)
{
	if (mkdirat(parent_fd, id, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	return fsync(parent_fd) < 0 ? -errno : 0;
}

int local_volume_open(const struct node *node, const char *local_path, const char *id, bool make,
		      struct local_volume *ret_volume, struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_close int root = open_host_root(node, e);
	int rc = 0;

	if (root < 0)
		return -1;
	snprintf(volume.id, sizeof(volume.id), "%s", id);
	snprintf(volume.path, sizeof(volume.path), "%s/%s", local_path, id);
	volume_image_name(id, volume.image);
	volume_mapping_name(id, volume.mapping);

	if (make)
		rc = fd_mkdirs_beneath(root, local_path + 1, 0755);
	if (rc == 0)
		rc = open_below(root, local_path + 1, &volume.parent_fd);
	if (rc == 0 && make)
		rc = make_folder(volume.parent_fd, id);
	if (rc == 0)
		rc = open_below(volume.parent_fd, id, &volume.dir_fd);
	if ((rc == -ENOENT || rc == -ENOTDIR) && !make)
		volume.dir_fd = -1;
	else if (rc < 0)
		return refuse_path(volume.path, -rc, e);

	*ret_volume = volume;
	volume = LOCAL_VOLUME_NONE;
	return 0;
}

int local_volume_lock(const struct local_volume *volume, struct err *e)
{
	int rc = lock_folder(volume->dir_fd);

	if (rc == -EWOULDBLOCK)
		return err_set(e, ERR_ABORTED,
			       "another process of this machine works on volume '%s' (its folder "
			       "'%s' is locked): try again",
			       volume->id, volume->path);
	return rc < 0 ? err_sys(e, -rc, "cannot lock the folder '%s'", volume->path) : 0;
}

void local_volume_done(struct local_volume *volume)
{
	cleanup_close(&volume->dir_fd);
	cleanup_close(&volume->parent_fd);
}

int local_record_read(const struct local_volume *volume, bool *ret_found,
		      struct volume_record *ret_record, struct err *e)
{
	auto_free char *text = NULL;
	char shown[sizeof(volume->path) + sizeof(VOLUME_RECORD_NAME) + 1];

	*ret_found = false;
	int rc = fd_read_file(volume->dir_fd, VOLUME_RECORD_NAME, RECORD_LIMIT, &text);
	if (rc == -ENOENT)
		return 0;
	snprintf(shown, sizeof(shown), "%s/%s", volume->path, VOLUME_RECORD_NAME);
	if (rc == -EFBIG || rc == -EINVAL || rc == -ELOOP)
		return err_set(e, ERR_FAILED_PRECONDITION, "'%s' is not a record: %s", shown,
			       strerror(-rc));
	if (rc < 0)
		return err_sys(e, -rc, "cannot read '%s'", shown);
	if (volume_record_parse(text, volume->id, shown, ret_record, e) < 0)
		return -1;
	*ret_found = true;
	return 0;
}

int local_record_write(const struct local_volume *volume, const struct volume_record *record,
		       struct err *e)
{
	auto_free char *text = volume_record_format(record);
	int rc = fd_write_file_atomic(volume->dir_fd, VOLUME_RECORD_NAME, text);

	if (rc < 0)
		return err_sys(e, -rc, "cannot write '%s/%s'", volume->path, VOLUME_RECORD_NAME);
	return 0;
}

int local_image_exists(const struct local_volume *volume, bool *ret_exists, struct err *e)
{
	struct stat st;

	*ret_exists = fstatat(volume->dir_fd, volume->image, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!*ret_exists && errno != ENOENT)
		return err_sys(e, errno, "cannot look at '%s/%s'", volume->path, volume->image);
	return 0;
}

int local_image_open(const struct local_volume *volume, int flags, int *ret_fd, struct err *e)
{
	if (image_open(volume->dir_fd, volume->image, flags, ret_fd, e) == 0)
		return 0;
	if (e->code == ERR_NOT_FOUND)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the image '%s/%s' is missing: is the disk of local-path mounted?",
			       volume->path, volume->image);
	return err_wrap(e, "'%s'", volume->path);
}

bool local_folder_is_there(const struct node *node, const char *local_path, const char *id)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	struct err ignored;

	return local_volume_open(node, local_path, id, false, &volume, &ignored) == 0 &&
	       volume.dir_fd >= 0;
}

int local_load(const struct node *node, const char *local_path, const char *id,
	       struct volume_record *ret_record, struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	bool found = false, image = false;

	if (local_volume_open(node, local_path, id, false, &volume, e) < 0)
		return -1;
	if (volume.dir_fd >= 0 && (local_record_read(&volume, &found, ret_record, e) < 0 ||
				   (!found && local_image_exists(&volume, &image, e) < 0)))
		return -1;
	if (found)
		return 0;
	if (image)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s/%s' is there but its record %s is missing", volume.path,
			       volume.image, VOLUME_RECORD_NAME);
	return err_set(e, ERR_NOT_FOUND, "volume '%s' does not exist in '%s' on node '%s'", id,
		       local_path, node->id);
}

/* Opens local_path or, while it does not exist, the nearest parent that does. */
static int open_existing_parent(int root, const char *local_path)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s", local_path + 1);
	while (open_below(root, path, &fd) == -ENOENT && *path) {
		char *slash = strrchr(path, '/');

		*(slash ? slash : path) = '\0';
	}
	return fd;
}

int local_free_bytes(const struct node *node, const char *local_path, uint64_t *ret_bytes,
		     struct err *e)
{
	auto_close int root = open_host_root(node, e);
	struct statvfs st;

	if (root < 0)
		return -1;
	auto_close int fd = open_existing_parent(root, local_path);
	if (fd < 0)
		return refuse_path(local_path, -fd, e);
	if (local_disk_check(node, local_path, e) < 0)
		return -1;
	if (fstatvfs(fd, &st) < 0)
		return err_sys(e, errno, "cannot ask for free space in '%s'", local_path);
	*ret_bytes = node_room_of_free((uint64_t)st.f_bavail * st.f_frsize);
	return 0;
}

int local_check_not_reencrypting(const struct volume_record *record, struct err *e)
{
	return !record->reencrypting ? 0
				     : err_set(e, ERR_FAILED_PRECONDITION,
					       "the volume key of '%s' is being replaced: complete "
					       "that first, with "
					       "`lcw volume reencrypt %s` on node '%s'",
					       record->id, record->id, record->node);
}
