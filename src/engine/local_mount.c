/* Mounting a mapping, growing what is behind, and the root's permissions. */
#include "engine/local_mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "sys/fs_mount.h"
#include "sys/loop.h"
#include "sys/mount.h"
#include "sys/mount_flags.h"

bool local_mount_is_of(const struct mount_entry *mount, const struct dm_info *mapping, bool block)
{
	char node[32];

	if (!block)
		return mount->device == mapping->device && strcmp(mount->root, "/") == 0;
	snprintf(node, sizeof(node), "/dm-%u", mapping->minor);
	return strcmp(mount->type, "devtmpfs") == 0 && strcmp(mount->root, node) == 0;
}

static bool is_folder(const struct target *target)
{
	auto_close int fd = fd_open_beneath(target->kubelet->fd, target->relative,
					    O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

	return fd >= 0;
}

bool local_mount_is_at(const struct mount_table *mounts, const struct target *target,
		       const struct dm_info *mapping, bool block)
{
	const struct mount_entry *mount = mount_table_at(mounts, target->path);

	return mount ? local_mount_is_of(mount, mapping, block) : block && is_folder(target);
}

static int refuse_mount(const struct target *target, const struct mount_entry *mount, struct err *e)
{
	return err_set(
		e, ERR_FAILED_PRECONDITION,
		"'%s' is already a mount of something else ('%s', type %s): it is not touched",
		target->path, mount->source, mount->type);
}

const struct mount_entry *local_mount_staged(const struct mount_table *mounts,
					     const struct dm_info *mapping,
					     const struct kubelet_dir *kubelet)
{
	for (size_t i = 0; i < mounts->count; i++) {
		const struct mount_entry *mount = &mounts->entries[i];

		/* Below --host-root every mount is seen a second time. */
		if (path_is_within(mount->target, kubelet->resolved) &&
		    !target_is_of_pod(kubelet, mount->target) &&
		    local_mount_is_of(mount, mapping, false))
			return mount;
	}
	return NULL;
}

/* One staging path: with two, each unstage would wait for the other. */
static int check_not_staged(const struct mount_table *mounts, const struct target *target,
			    const struct dm_info *mapping, struct err *e)
{
	const struct mount_entry *mount = local_mount_staged(mounts, mapping, target->kubelet);

	return mount ? err_set(e, ERR_FAILED_PRECONDITION,
			       "the volume is mounted at '%s' already, not at the staging path "
			       "'%s': unpublish and unstage it there first",
			       mount->target, target->path)
		     : 0;
}

int local_mount_precheck(const struct target *target, const struct dm_info *mapping,
			 const struct capability *capability, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	auto_close int fd = -1;

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	const struct mount_entry *mount = mount_table_at(&mounts, target->path);
	if (!mount && mapping && check_not_staged(&mounts, target, mapping, e) < 0)
		return -1;
	if (!mount)
		return target_open(target, TARGET_DIRECTORY, &fd, e);
	if (!mapping || !local_mount_is_of(mount, mapping, false))
		return refuse_mount(target, mount, e);
	if (!mount_flags_match(capability->flags, capability->flag_count, "", mount->options))
		return err_set(e, ERR_ALREADY_EXISTS,
			       "the volume is staged at '%s' with other mount flags ('%s'): "
			       "unstage it first",
			       target->path, mount->options);
	return 0;
}

int local_grow_mapping(uint64_t data_offset_bytes, uint64_t image_bytes, struct dm_info *mapping,
		       const char *name, struct err *e)
{
	struct loop loop = { .fd = -1, .number = (unsigned)mapping->loop_number };
	bool found;

	if (mapping->size_bytes + data_offset_bytes >= image_bytes / 4096 * 4096)
		return 0;
	snprintf(loop.path, sizeof(loop.path), "/dev/loop%u", loop.number);
	auto_close int fd = open(loop.path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "cannot open '%s'", loop.path);
	loop.fd = fd;
	if (loop_refresh_size(&loop, e) < 0 || luks_resize(name, e) < 0 ||
	    dm_find(name, &found, mapping, e) < 0)
		return -1;
	if (!found || mapping->size_bytes + data_offset_bytes < image_bytes / 4096 * 4096)
		return err_set(
			e, ERR_INTERNAL,
			"mapping '%s' did not grow to the size of its image (%llu of %llu bytes)",
			name, (unsigned long long)mapping->size_bytes,
			(unsigned long long)(image_bytes - data_offset_bytes));
	return 0;
}

static const struct mount_entry *writable_mount(const struct mount_table *mounts,
						const struct dm_info *mapping)
{
	for (size_t i = 0; i < mounts->count; i++) {
		const struct mount_entry *mount = &mounts->entries[i];

		if (local_mount_is_of(mount, mapping, false) &&
		    !mount_has_option(mount->options, "ro") &&
		    !mount_has_option(mount->super_options, "ro") &&
		    mount_table_at(mounts, mount->target) == mount)
			return mount;
	}
	return NULL;
}

int local_grow_fs(const struct volume_record *record, const struct dm_info *mapping, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	enum fs_type type = params_fs_type(&record->params);
	bool behind;

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	const struct mount_entry *mount = writable_mount(&mounts, mapping);
	if (!mount) {
		log_warn("mounted read-only: its file system grows when it is next staged writable",
			 KV("volume", record->id));
		return 0;
	}
	if (fs_needs_grow(mapping->path, type, mount->target, mapping->size_bytes, &behind, e) < 0)
		return -1;
	return behind ? fs_grow(mapping->path, type, mount->target, e) : 0;
}

static bool is_read_only(int fd)
{
	struct statvfs st;

	return fstatvfs(fd, &st) == 0 && (st.f_flag & ST_RDONLY);
}

int local_permissions(const struct params *params, const struct capability *capability,
		      const char *mount_path, struct err *e)
{
	uint32_t group = 0;
	unsigned mode = 0;
	bool has_group = params_fs_group(params, &group);
	struct stat st;

	if (!has_group && capability->has_group) {
		has_group = true;
		group = capability->group;
	}
	bool has_mode = params_fs_mode(params, &mode);
	if (!has_group && !has_mode)
		return 0; /* a new file system has 0755; later it is the owner's */
	if (!has_mode)
		mode = 02775;

	auto_close int fd = open(mount_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot open the volume's root '%s'", mount_path);
	if (is_read_only(fd))
		return 0; /* mounted "ro" by its mount flags: nothing can be set */
	if (has_group && st.st_gid != group && fchown(fd, (uid_t)-1, group) < 0)
		return err_sys(e, errno, "cannot give the volume's root to group %u", group);
	/* chown clears setgid, so the mode is looked at after it. */
	if (fstat(fd, &st) < 0 || ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0))
		return err_sys(e, errno, "cannot set mode %04o on the volume's root", mode);
	return 0;
}

static int verify(const struct target *target, const struct dm_info *mapping, const char *type,
		  struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	const struct mount_entry *mount = mount_table_at(&mounts, target->path);
	if (!mount || !local_mount_is_of(mount, mapping, false) || strcmp(mount->type, type) != 0)
		return err_set(e, ERR_INTERNAL,
			       "'%s' does not show the volume's mount right after mounting it",
			       target->path);
	return 0;
}

static int mount_here(const struct volume_record *record, const struct dm_info *mapping,
		      const struct target *target, const struct capability *capability,
		      struct err *e)
{
	auto_close int fd = -1;

	if (target_open(target, TARGET_DIRECTORY, &fd, e) < 0)
		return -1;
	return fs_mount(mapping->path, params_fs_type(&record->params), fd, capability->flags,
			capability->flag_count, e);
}

/*
 * A volume that holds nothing is an empty folder: initdb and others refuse one with a lost+found.
 * e2fsck makes it again when it needs it.
 */
static void clear_empty_root(const struct target *target)
{
	auto_closedir DIR *dir = opendir(target->path);
	bool found = false;

	if (!dir || is_read_only(dirfd(dir)))
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		const char *name = entry->d_name;
		bool is_lost = strcmp(name, "lost+found") == 0;

		if (!is_lost && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			return;
		found = found || is_lost;
	}
	if (found && unlinkat(dirfd(dir), "lost+found", AT_REMOVEDIR) < 0 && errno != ENOTEMPTY)
		log_warn("cannot remove lost+found from an empty volume", KV("path", target->path),
			 KV("errno", errno));
}

int local_mount_ensure(const struct volume_record *record, const struct dm_info *mapping,
		       const struct target *target, const struct capability *capability,
		       bool *ret_mounted, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	struct err ignored;

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	const struct mount_entry *mount = mount_table_at(&mounts, target->path);
	if (mount && !local_mount_is_of(mount, mapping, false))
		return refuse_mount(target, mount, e);
	if (!mount && mount_here(record, mapping, target, capability, e) < 0)
		return -1;
	*ret_mounted = !mount;

	if (verify(target, mapping, fs_type_name(params_fs_type(&record->params)), e) == 0 &&
	    local_grow_fs(record, mapping, e) == 0 &&
	    local_permissions(&record->params, capability, target->path, e) == 0) {
		if (*ret_mounted)
			clear_empty_root(target);
		return 0;
	}
	if (*ret_mounted && mount_remove(target->path, &ignored) < 0)
		log_warn("cannot undo the mount of a failed stage", KV("volume", record->id),
			 KV("error", ignored.msg));
	return -1;
}
