/* sys/fs: each type made, checked, mounted, grown, read back. */
#include "sys/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "sys/fs_mount.h"
#include "sys/mount.h"
#include "sys/probe.h"

#define FS_UUID "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

static char mount_point[160];

static bool mount_it(const struct volume *volume, enum fs_type type)
{
	auto_close int fd = open(mount_point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e = { 0 };

	return OK(fs_mount(volume->dm.path, type, fd, NULL, 0, &e), "%s: mounted",
		  fs_type_name(type));
}

static bool needs_grow(const struct volume *volume, enum fs_type type)
{
	struct err e = { 0 };
	bool yes = false;

	OK(fs_needs_grow(volume->dm.path, type, mount_point, volume->dm.size_bytes, &yes, &e),
	   "%s: asked whether it must grow", fs_type_name(type));
	return yes;
}

/* What the kernel says, which is all but the file system's own tables. */
static uint64_t total_bytes(void)
{
	auto_close int fd = open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fs_usage usage = { 0 };
	struct err e = { 0 };

	OK(fs_usage(fd, &usage, &e), "fs_usage");
	CHECK(usage.total_bytes >= usage.used_bytes + usage.free_bytes && usage.total_inodes &&
		      usage.total_inodes >= usage.used_inodes + usage.free_inodes,
	      "used and free are parts of the total");
	return usage.total_bytes;
}

static void check_features(const struct volume *volume, enum fs_type type)
{
	const char *features = type == FS_XFS
				       ? shell_line("xfs_db -r -c version %s", volume->dm.path)
				       : shell_line("dumpe2fs -h %s 2> /dev/null | grep features:",
						    volume->dm.path);

	CHECK(*features && !strstr(features, "NREXT64") && !strstr(features, "EXCHANGE") &&
		      !strstr(features, "orphan_file"),
	      "%s: no feature that kernel 5.10 does not know (%s)", fs_type_name(type), features);
}

static void grow_to(struct volume *volume, enum fs_type type, uint64_t bytes, bool must)
{
	const char *name = fs_type_name(type);
	struct err e = { 0 };

	uint64_t before = total_bytes();
	if (!volume_grow(volume, bytes))
		return;
	CHECK(needs_grow(volume, type) || !must, "%s: a larger device is noticed", name);
	OK(fs_grow(volume->dm.path, type, mount_point, &e), "%s: fs_grow to %llu", name,
	   (unsigned long long)bytes);
	CHECK(!needs_grow(volume, type), "%s: nothing is left to grow at %llu", name,
	      (unsigned long long)bytes);
	CHECK(!must || total_bytes() > before, "%s: the kernel shows more space", name);
	OK(fs_grow(volume->dm.path, type, mount_point, &e), "%s: growing again is fine", name);
}

static void life_of(enum fs_type type, uint64_t start)
{
	const char *name = fs_type_name(type);
	struct volume volume;
	struct probe probe;
	struct err e = { 0 };

	if (!volume_make(&volume, name, start))
		return;
	OK(fs_make(volume.dm.path, type, FS_UUID, &e), "%s: made on %llu bytes", name,
	   (unsigned long long)start);
	OK(fs_make(volume.dm.path, type, FS_UUID, &e), "%s: and again after a crash", name);
	auto_close int fd = open(volume.dm.path, O_RDONLY | O_CLOEXEC);
	OK(probe_fd(fd, name, &probe, &e), "%s: probed", name);
	CHECK(strcmp(probe.type, name) == 0 && strcmp(probe.uuid, FS_UUID) == 0,
	      "%s: type and UUID are those asked for (%s, %s)", name, probe.type, probe.uuid);
	close(TAKE(fd, -1));
	check_features(&volume, type);
	OK(fs_check(volume.dm.path, type, &e), "%s: checked", name);
	if (mount_it(&volume, type)) {
		CHECK(!needs_grow(&volume, type), "%s: a new one fills its device", name);
		CHECK(shell("echo kept > %s/file && sync -f %s", mount_point, mount_point),
		      "%s: written", name);
		grow_to(&volume, type, start + 64 * MI, true);
		grow_to(&volume, type, start + 72 * MI, true);
		grow_to(&volume, type, start + 512 * MI, true);
		grow_to(&volume, type, start + 513 * MI, false);
		CHECK(shell("grep -q kept %s/file", mount_point), "%s: the data is kept", name);
		OK(mount_remove(mount_point, &e), "%s: unmounted", name);
	}
	OK(fs_check(volume.dm.path, type, &e), "%s: checked after growing", name);
	volume_drop(&volume);
}

/* Sizes that leave less than a block group at the end. */
static void tails(void)
{
	static const unsigned tail_kib[] = { 4, 100, 300, 1024, 2048, 2304, 2560, 4096, 8192 };
	struct volume volume;
	struct err e = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(tail_kib); i++) {
		char name[32];

		snprintf(name, sizeof(name), "tail-%u", tail_kib[i]);
		if (!volume_make(&volume, name, 1024 * MI + tail_kib[i] * 1024ull))
			return;
		OK(fs_make(volume.dm.path, FS_EXT4, FS_UUID, &e), "%s KiB: made", name);
		if (mount_it(&volume, FS_EXT4)) {
			CHECK(!needs_grow(&volume, FS_EXT4), "%s KiB: a new ext4 fills its device",
			      name);
			OK(fs_grow(volume.dm.path, FS_EXT4, mount_point, &e), "%s KiB: fs_grow",
			   name);
			CHECK(!needs_grow(&volume, FS_EXT4), "%s KiB: nothing is left to grow",
			      name);
			OK(mount_remove(mount_point, &e), "unmounted");
		}
		volume_drop(&volume);
	}
}

static void damage_needs_a_person(void)
{
	struct volume volume;
	struct err e = { 0 };

	if (!volume_make(&volume, "sick", 64 * MI))
		return;
	OK(fs_make(volume.dm.path, FS_EXT4, FS_UUID, &e), "made");
	if (mount_it(&volume, FS_EXT4)) {
		CHECK(shell("mkdir %s/a %s/b && touch %s/a/x && sync -f %s", mount_point,
			    mount_point, mount_point, mount_point),
		      "written");
		OK(mount_remove(mount_point, &e), "unmounted");
	}
	OK(fs_check(volume.dm.path, FS_EXT4, &e), "a clean one passes");
	CHECK(shell("debugfs -w -R 'set_inode_field <2> block[0] 5' %s 2> /dev/null && "
		    "debugfs -w -R 'clri <8>' %s 2> /dev/null && "
		    "debugfs -w -R 'set_super_value state 2' %s 2> /dev/null",
		    volume.dm.path, volume.dm.path, volume.dm.path),
	      "damaged");
	REFUSED(fs_check(volume.dm.path, FS_EXT4, &e), ERR_FAILED_PRECONDITION, "e2fsck -f",
		"damage beyond e2fsck -p is refused with the command to type");
	volume_drop(&volume);
}

void test_fs(void)
{
	enum fs_type type;

	snprintf(mount_point, sizeof(mount_point), "%s/mnt", scratch);
	mkdir(mount_point, 0700);
	CHECK(fs_type_parse("xfs", &type) && type == FS_XFS && !fs_type_parse("btrfs", &type),
	      "names of types");
	for (type = FS_EXT4; type <= FS_XFS; type++)
		life_of(type, fs_min_bytes(type));
	tails();
	damage_needs_a_person();
	rmdir(mount_point);
}
