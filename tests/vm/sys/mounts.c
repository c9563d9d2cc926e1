/* sys/mount: flags, binds, and what is in use. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "sys/fs.h"
#include "sys/mount.h"
#include "sys/mountinfo.h"

static char staging[160], target[160], file[160];

static int open_path(const char *path)
{
	return open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* A copy of the topmost mount's options there, "" when nothing is mounted. */
static const char *options_at(const char *path, bool super)
{
	static char options[512];
	auto_mount_table struct mount_table table = { 0 };
	struct err e;

	options[0] = '\0';
	if (mount_table_read(&table, &e) < 0)
		return "?";
	const struct mount_entry *mount = mount_table_at(&table, path);
	if (mount)
		snprintf(options, sizeof(options), "%s",
			 super ? mount->super_options : mount->options);
	return options;
}

static int stage(const char *device, const char *type, const char *const flags[], size_t count,
		 bool read_only, struct err *e)
{
	auto_close int fd = open_path(staging), mount = -1;

	return mount_make(device, type, flags, count, read_only, &mount, e) < 0
		       ? -1
		       : mount_attach(mount, fd, e);
}

static int bind(const char *source, const char *to, const char *const flags[], size_t count,
		bool read_only, struct err *e)
{
	auto_close int from = open_path(source), fd = open_path(to);

	return mount_bind(from, fd, flags, count, read_only, e);
}

static void flags_of(const struct volume *volume)
{
	static const char *const flags[] = { "noatime", "nosuid",   "nodev",
					     "noexec",	"commit=7", "ro" };
	static const char *const bad[] = { "noatime", "nonsense=1" };
	static const char *const worse[] = { "commit=many" };
	struct err e = { 0 };

	OK(stage(volume->dm.path, "ext4", flags, 5, false, &e), "mounted with flags");
	const char *options = options_at(staging, false);
	for (size_t i = 0; i < 4; i++)
		CHECK(mount_has_option(options, flags[i]), "the mount has '%s'", flags[i]);
	CHECK(mount_has_option(options, "rw"), "the mount is writable");
	CHECK(mount_has_option(options_at(staging, true), "commit=7"), "ext4 has 'commit=7'");
	OK(mount_remove(staging, &e), "unmounted");
	CHECK(!*options_at(staging, false), "it is gone");
	OK(mount_remove(staging, &e), "unmounting what is no mount is success");
	OK(mount_remove("/nonexistent/path", &e), "and so is a path that does not exist");

	OK(stage(volume->dm.path, "ext4", flags, 6, false, &e),
	   "mounted with 'ro' among the flags");
	CHECK(mount_has_option(options_at(staging, false), "ro"), "it is read-only");
	OK(mount_remove(staging, &e), "unmounted");
	OK(stage(volume->dm.path, "ext4", NULL, 0, true, &e), "mounted read-only");
	CHECK(mount_has_option(options_at(staging, false), "ro") &&
		      mount_has_option(options_at(staging, true), "ro"),
	      "mount and file system are read-only");
	OK(mount_remove(staging, &e), "unmounted");

	REFUSED(stage(volume->dm.path, "ext4", bad, 2, false, &e), ERR_INVALID_ARGUMENT, "nonsense",
		"an unknown flag is named");
	REFUSED(stage(volume->dm.path, "ext4", worse, 1, false, &e), ERR_INVALID_ARGUMENT, "commit",
		"a bad value is named");
	CHECK(!*options_at(staging, false), "nothing is mounted then");
	REFUSED(stage(volume->dm.path, "xfs", flags, 2, false, &e), ERR_FAILED_PRECONDITION,
		"cannot mount", "a wrong file system is not the fault of the flags");
	REFUSED(stage(volume->dm.path, "nosuchfs", NULL, 0, false, &e), ERR_FAILED_PRECONDITION,
		"modprobe", "an unknown file system names the module");
}

static void binds(const struct volume *volume)
{
	static const char *const flags[] = { "noexec", "noatime", "commit=7" };
	struct err e = { 0 };

	OK(stage(volume->dm.path, "ext4", NULL, 0, false, &e), "mounted");
	OK(bind(staging, target, NULL, 0, false, &e), "bound");
	CHECK(shell("echo x > %s/through-bind && test -f %s/through-bind", target, staging),
	      "written through the bind");
	OK(mount_remove(staging, &e), "the staged mount can go first");
	CHECK(mount_has_option(options_at(target, false), "rw"), "the bind stays");
	OK(mount_remove(target, &e), "unmounted");

	OK(stage(volume->dm.path, "ext4", NULL, 0, false, &e), "mounted again");
	OK(bind(staging, target, flags, 3, true, &e), "bound read-only with flags");
	const char *options = options_at(target, false);
	CHECK(mount_has_option(options, "ro") && mount_has_option(options, "noexec") &&
		      mount_has_option(options, "noatime"),
	      "the bind has ro, noexec, noatime");
	CHECK(!shell("echo x 2> /dev/null > %s/refused", target), "nothing can be written there");
	CHECK(shell("echo x > %s/accepted", staging), "the staged mount is still writable");
	OK(mount_remove(target, &e), "unmounted");

	int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	OK(bind(volume->dm.path, file, NULL, 0, false, &e), "a device node is bound to a file");
	CHECK(strcmp(shell_line("stat -c %%F %s", file), "block special file") == 0,
	      "it is the device there");
	OK(mount_remove(file, &e), "unmounted");
	unlink(file);
}

static void in_use(void)
{
	struct err e = { 0 };
	char path[200];

	snprintf(path, sizeof(path), "%s/through-bind", staging);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	REFUSED(mount_remove(staging, &e), ERR_FAILED_PRECONDITION, "in use",
		"a mount with an open file stays");
	CHECK(*options_at(staging, false) != '\0', "it is still there: not lazily gone");
	close(fd);
	snprintf(path, sizeof(path), "%s.link", staging);
	CHECK(symlink(staging, path) == 0, "a symbolic link to the mount");
	OK(mount_remove(path, &e), "a link is no mount");
	CHECK(*options_at(staging, false) != '\0', "and what it leads to is left alone");
	unlink(path);
	OK(mount_remove(staging, &e), "unmounted when it is free");
}

/* The flags are no excuse for a file system that is damaged. */
static void damaged(const struct volume *volume)
{
	static const char *const flags[] = { "noatime" };
	struct err e = { 0 };

	CHECK(shell("dd if=/dev/zero of=%s bs=4096 count=1 status=none conv=fsync",
		    volume->dm.path),
	      "the superblock is gone");
	REFUSED(stage(volume->dm.path, "ext4", flags, 1, false, &e), ERR_FAILED_PRECONDITION,
		"cannot mount", "a damaged file system is not the fault of the flags");
}

void test_mount(void)
{
	struct volume volume;
	struct err e = { 0 };

	snprintf(staging, sizeof(staging), "%s/staging", scratch);
	snprintf(target, sizeof(target), "%s/target", scratch);
	snprintf(file, sizeof(file), "%s/device", scratch);
	mkdir(staging, 0700);
	mkdir(target, 0700);
	if (!volume_make(&volume, "mount", 64 * MI))
		return;
	OK(fs_make(volume.dm.path, FS_EXT4, UUID, &e), "made");
	flags_of(&volume);
	binds(&volume);
	in_use();
	damaged(&volume);
	volume_drop(&volume);
	rmdir(staging);
	rmdir(target);
}
