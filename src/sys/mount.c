/* Mounting through the new mount API. */
#include "sys/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/mount_flags.h"

/* <sys/mount.h> and <linux/mount.h> do not agree in glibc 2.36, so the calls are made by number. */
enum { UMOUNT_AT_ONCE = 2, UMOUNT_WITHOUT_LINKS = 8 };

static int fs_open(const char *type)
{
	return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

static int fs_config(int fs, unsigned command, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fs, command, key, value, 0);
}

static int attach(int mount_fd, int target_fd)
{
	return (int)syscall(SYS_move_mount, mount_fd, "", target_fd, "",
			    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* The kernel's own words on a file system context ("e ext4: Unknown parameter"), or "". */
static void kernel_words(int fs, char words[256])
{
	char line[256];
	ssize_t got;

	words[0] = '\0';
	while ((got = read(fs, line, sizeof(line) - 1)) > 0) {
		line[got] = '\0';
		/* "e ", "w " or "i " and the text; the last error counts. */
		if (got > 2 && line[1] == ' ' && line[0] == 'e')
			snprintf(words, 256, "%s", line + 2);
	}
	words[strcspn(words, "\n")] = '\0';
}

static int refuse_flag(int fs, const char *flag, int errnum, struct err *e)
{
	char words[256];

	kernel_words(fs, words);
	return err_set(e, ERR_INVALID_ARGUMENT, "mount flag '%s' is not accepted: %s", flag,
		       *words ? words : strerror(errnum));
}

static int give_flag(int fs, const char *flag, struct err *e)
{
	const char *equals = strchr(flag, '=');
	char key[256];
	int rc;

	if (equals) {
		snprintf(key, sizeof(key), "%.*s", (int)(equals - flag), flag);
		rc = fs_config(fs, FSCONFIG_SET_STRING, key, equals + 1);
	} else {
		rc = fs_config(fs, FSCONFIG_SET_FLAG, flag, NULL);
	}
	return rc < 0 ? refuse_flag(fs, flag, errno, e) : 0;
}

static uint64_t attributes(const char *const flags[], size_t count, bool read_only)
{
	uint64_t all = MOUNT_ATTR_RELATIME;

	for (size_t i = 0; i < count; i++) {
		struct mount_flag flag = mount_flag_sort(flags[i]);

		if (flag.kind == MOUNT_FLAG_ATTRIBUTE)
			all = (all & ~flag.clear) | flag.set;
	}
	return all | (read_only ? MOUNT_ATTR_RDONLY : 0);
}

static size_t count_fs_flags(const char *const flags[], size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += mount_flag_sort(flags[i]).kind == MOUNT_FLAG_FILESYSTEM;
	return found;
}

static int configure(int fs, const char *device, const char *const flags[], size_t count,
		     bool read_only, struct err *e)
{
	if (fs_config(fs, FSCONFIG_SET_STRING, "source", device) < 0)
		return err_sys(e, errno, "cannot name '%s' as the device to mount", device);
	for (size_t i = 0; i < count; i++)
		if (mount_flag_sort(flags[i]).kind == MOUNT_FLAG_FILESYSTEM &&
		    give_flag(fs, flags[i], e) < 0)
			return -1;
	if (read_only && fs_config(fs, FSCONFIG_SET_FLAG, "ro", NULL) < 0)
		return err_sys(e, errno, "cannot mount '%s' read-only", device);
	return 0;
}

int mount_make(const char *device, const char *fs_type, const char *const flags[], size_t count,
	       bool read_only, int *ret_fd, struct err *e)
{
	auto_close int fs = fs_open(fs_type);
	char words[256];

	if (fs < 0 && errno == ENODEV)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the kernel of this node cannot mount '%s': run `modprobe %s`",
			       fs_type, fs_type);
	if (fs < 0)
		return err_sys(e, errno, "cannot begin to mount '%s'", device);
	if (configure(fs, device, flags, count, read_only, e) < 0)
		return -1;
	if (fs_config(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0) {
		int errnum = errno;

		kernel_words(fs, words);
		/* File systems check most of their flags only here. */
		if (errnum == EINVAL && count_fs_flags(flags, count))
			return err_set(e, ERR_INVALID_ARGUMENT,
				       "cannot mount '%s' as %s with these mount flags: %s", device,
				       fs_type, *words ? words : strerror(errnum));
		err_sys(e, errnum, "cannot mount '%s' as %s%s%s", device, fs_type,
			*words ? ": " : "", words);
		if (errnum == EBUSY || errnum == EUCLEAN || errnum == EBADMSG || errnum == EINVAL)
			e->code = ERR_FAILED_PRECONDITION;
		return -1;
	}
	int fd =
		(int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes(flags, count, read_only));
	if (fd < 0)
		return err_sys(e, errno, "cannot mount '%s' as %s", device, fs_type);
	*ret_fd = fd;
	return 0;
}

int mount_attach(int mount_fd, int target_fd, struct err *e)
{
	return attach(mount_fd, target_fd) < 0 ? err_sys(e, errno, "cannot put a mount in place")
					       : 0;
}

int mount_bind(int source_fd, int target_fd, const char *const flags[], size_t count,
	       bool read_only, struct err *e)
{
	struct mount_attr attr = { .attr_set = attributes(flags, count, read_only) };
	auto_close int tree = (int)syscall(SYS_open_tree, source_fd, "",
					   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (tree < 0)
		return err_sys(e, errno, "cannot clone the staged mount");
	/* What the flags do not speak of stays as it was staged. */
	for (size_t i = 0; i < count; i++)
		attr.attr_clr |= mount_flag_sort(flags[i]).clear;
	if ((attr.attr_set || attr.attr_clr) &&
	    syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
		if (errno != ENOSYS)
			return err_sys(e, errno, "cannot set the flags of the bind mount");
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the kernel of this node cannot publish read-only or with mount "
			       "flags: it is older than 5.12");
	}
	return attach(tree, target_fd) < 0 ? err_sys(e, errno, "cannot put the bind mount in place")
					   : 0;
}

int mount_remove(const char *path, struct err *e)
{
	if (syscall(SYS_umount2, path, UMOUNT_WITHOUT_LINKS) == 0)
		return 0;
	switch (errno) {
	case EINVAL:
	case ENOENT:
		return 0;
	case EBUSY:
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s' is in use: something still has a file or folder open there",
			       path);
	default:
		return err_sys(e, errno, "cannot unmount '%s'", path);
	}
}

int mount_detach(const char *path, struct err *e)
{
	if (syscall(SYS_umount2, path, UMOUNT_AT_ONCE | UMOUNT_WITHOUT_LINKS) < 0 &&
	    errno != EINVAL && errno != ENOENT)
		return err_sys(e, errno, "cannot take the mount '%s' away", path);
	return 0;
}

int mount_set_read_only(const char *path, bool read_only, struct err *e)
{
	/* The flags are replaced, so those of the mount are given again. */
	unsigned long flags = MS_REMOUNT | MS_NOSUID | MS_NODEV | (read_only ? MS_RDONLY : 0);

	if (syscall(SYS_mount, NULL, path, NULL, flags, NULL) == 0)
		return 0;
	int errnum = errno;
	err_sys(e, errnum, "cannot make '%s' %s", path, read_only ? "read-only" : "writable");
	if (errnum == EBUSY)
		e->code = ERR_FAILED_PRECONDITION;
	e->sys = errnum;
	return -1;
}
