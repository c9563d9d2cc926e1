/* Staging and target paths. */
#include "engine/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"
#include "sys/mountinfo.h"

int kubelet_dir_open(const char *path, struct kubelet_dir *ret_dir, bool *ret_shared, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };

	if (!path_is_clean(path) || strlen(path) < 2)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "kubelet's folder '%s' is not an absolute path", path);
	snprintf(ret_dir->given, sizeof(ret_dir->given), "%s", path);
	if (!realpath(path, ret_dir->resolved))
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "cannot find kubelet's folder '%s': %s (set --kubelet-dir)", path,
			       strerror(errno));
	ret_dir->fd = open(ret_dir->resolved, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ret_dir->fd < 0)
		return err_set(e, ERR_FAILED_PRECONDITION, "cannot open kubelet's folder '%s': %s",
			       path, strerror(errno));

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	const struct mount_entry *mount = mount_table_covering(&mounts, ret_dir->resolved);
	*ret_shared = mount && mount->shared;
	return 0;
}

int target_parse(const struct kubelet_dir *kubelet, const char *path, const char *what,
		 struct target *ret_target, struct err *e)
{
	if (!*path)
		return err_set(e, ERR_INVALID_ARGUMENT, "%s is missing", what);
	if (!text_is_clean(path))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "%s holds control characters or is not UTF-8", what);
	if (!path_is_clean(path))
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"%s '%.200s' must be absolute, without '..' or empty parts, and shorter "
			"than %d bytes, each part of at most %d",
			what, path, PATH_MAX, NAME_MAX);

	const char *base =
		path_is_within(path, kubelet->given) ? kubelet->given : kubelet->resolved;
	if (!path_is_within(path, base))
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"%s '%.200s' is outside of kubelet's folder '%s' (see --kubelet-dir)", what,
			path, kubelet->given);
	const char *rest = path + strlen(base);
	while (*rest == '/')
		rest++;
	if (!*rest)
		return err_set(e, ERR_INVALID_ARGUMENT, "%s '%.200s' is kubelet's folder itself",
			       what, path);

	size_t prefix = strlen(kubelet->resolved) + 1;
	if (prefix + strlen(rest) >= sizeof(ret_target->path))
		return err_set(e, ERR_INVALID_ARGUMENT, "%s is too long", what);
	memcpy(ret_target->path, kubelet->resolved, prefix - 1);
	ret_target->path[prefix - 1] = '/';
	memcpy(ret_target->path + prefix, rest, strlen(rest) + 1);
	for (size_t end = strlen(ret_target->path); ret_target->path[end - 1] == '/'; end--)
		ret_target->path[end - 1] = '\0';
	ret_target->relative = ret_target->path + prefix;
	ret_target->kubelet = kubelet;
	return 0;
}

/*
 * Where kubelet has the volumes of CSI drivers in its folder (pkg/volume/csi: csi_attacher.go,
 * csi_block.go).
 */
#define PODS "pods/"
#define CSI "plugins/kubernetes.io/csi/"
#define DEVICES CSI "volumeDevices/"
#define DEVICE_STAGED DEVICES "staging/"
#define DEVICE_PUBLISHED DEVICES "publish/"

static bool begins(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* A resolved path without kubelet's folder; "" for one that is not in it. */
static const char *below(const struct kubelet_dir *kubelet, const char *path)
{
	size_t length = strlen(kubelet->resolved);

	return path_is_within(path, kubelet->resolved) && path[length] ? path + length + 1 : "";
}

bool target_is_of_pod(const struct kubelet_dir *kubelet, const char *path)
{
	return begins(below(kubelet, path), PODS);
}

bool target_is_of_kubelet(const struct kubelet_dir *kubelet, const char *path)
{
	const char *rest = below(kubelet, path);

	return (begins(rest, DEVICES) && !begins(rest, DEVICE_PUBLISHED)) ||
	       (begins(rest, PODS) && strstr(rest, "/volumeDevices/"));
}

static bool is_staging(const struct target *target)
{
	const char *last = strrchr(target->relative, '/');

	return begins(target->relative, DEVICE_STAGED) ||
	       (begins(target->relative, CSI) && strcmp(last, "/globalmount") == 0);
}

int target_parse_for_pod(const struct kubelet_dir *kubelet, const char *path,
			 struct target *ret_target, struct err *e)
{
	if (target_parse(kubelet, path, "target path", ret_target, e) < 0)
		return -1;
	if (is_staging(ret_target))
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"target path '%.200s' is a staging path of kubelet, where nothing is "
			"published",
			path);
	return 0;
}

int target_parse_published(const struct kubelet_dir *kubelet, const char *path,
			   struct target *ret_target, struct err *e)
{
	if (target_parse(kubelet, path, "volume path", ret_target, e) == 0)
		return 0;
	if (*path && text_is_clean(path) && strlen(path) < PATH_MAX && !strstr(path, ".."))
		e->code = ERR_NOT_FOUND;
	return -1;
}

/* Opens the folder that holds the mount point; *ret_name is its last component (borrowed). */
static int open_parent(const struct target *target, const char **ret_name, int *ret_fd,
		       struct err *e)
{
	const char *slash = strrchr(target->relative, '/');
	char parent[PATH_MAX];

	*ret_name = slash ? slash + 1 : target->relative;
	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - target->relative) : 1,
		 slash ? target->relative : ".");
	int fd = fd_open_beneath(target->kubelet->fd, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd == -ELOOP || fd == -ENOTDIR || fd == -EXDEV)
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"'%s' leads through a symbolic link or a file: the driver follows none",
			target->path);
	if (fd < 0) {
		err_sys(e, -fd,
			"cannot open the folder that is to hold the mount point '%s' (the caller "
			"makes it)",
			target->path);
		if (fd == -ENOENT)
			e->code = ERR_FAILED_PRECONDITION;
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

static int make_mount_point(int parent, const char *name, enum target_kind kind)
{
	if (kind == TARGET_DIRECTORY)
		return mkdirat(parent, name, 0750) < 0 && errno != EEXIST ? -errno : 0;
	auto_close int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 && errno != EEXIST ? -errno : 0;
}

int target_open(const struct target *target, enum target_kind kind, int *ret_fd, struct err *e)
{
	auto_close int parent = -1;
	const char *name;
	struct stat st;

	if (open_parent(target, &name, &parent, e) < 0)
		return -1;
	int rc = make_mount_point(parent, name, kind);
	if (rc < 0)
		return err_sys(e, -rc, "cannot make the mount point '%s'", target->path);

	auto_close int fd = fd_open_beneath(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, ERR_INVALID_ARGUMENT, "cannot open '%s': %s", target->path,
			       fd == -ELOOP ? "it is a symbolic link" : strerror(-fd));
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot look at '%s'", target->path);
	bool directory = S_ISDIR(st.st_mode);
	if (S_ISLNK(st.st_mode) || directory != (kind == TARGET_DIRECTORY))
		return err_set(e, ERR_INVALID_ARGUMENT, "'%s' is %s, but %s is needed",
			       target->path,
			       S_ISLNK(st.st_mode) ? "a symbolic link"
			       : directory	   ? "a directory"
						   : "not a directory",
			       kind == TARGET_DIRECTORY ? "a directory"
							: "a file to bind the device to");
	*ret_fd = TAKE(fd, -1);
	return 0;
}

int target_remove(const struct target *target, struct err *e)
{
	auto_close int parent = -1;
	const char *name;
	struct stat st;

	if (open_parent(target, &name, &parent, e) < 0)
		return e->sys == ENOENT ? 0 : -1;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at '%s'", target->path);
	bool directory = S_ISDIR(st.st_mode), empty = directory || st.st_size == 0;
	if ((directory || S_ISREG(st.st_mode)) && empty) {
		if (unlinkat(parent, name, directory ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY)
			return err_sys(e, errno, "cannot remove the mount point '%s'",
				       target->path);
	}
	return err_set(e, ERR_FAILED_PRECONDITION,
		       "'%s' is not an empty mount point: look what it is, and remove it by hand",
		       target->path);
}
