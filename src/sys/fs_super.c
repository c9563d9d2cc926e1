/*
 * ext: the superblock (Documentation/filesystems/ext4/super.rst: little-endian, at byte 1024),
 * which a mounted ext4 keeps in the page cache of the device, so that a plain read sees it. xfs
 * keeps its own elsewhere and is asked (ioctl_xfs_fsgeometry(2)); statvfs(3) would show a quota.
 */
#include "sys/fs_super.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { EXT_OFFSET = 1024, EXT_MAGIC = 0xef53, EXT_SPARSE_SUPER = 0x1, EXT_64BIT = 0x80 };
enum { EXT_MTIME_AT = 0x2c, EXT_STATE_AT = 0x3a, EXT_STATE_VALID = 0x1 };
enum { XFS_BLOCK_AT = 4, XFS_BLOCKS_AT = 8, XFS_IN_PROGRESS_AT = 126 };

/* A last group with fewer free blocks than this is not made (resize2fs), nor is an allocation
 * group of xfs with fewer blocks (XFS_MIN_AG_BLOCKS). */
enum { EXT_LAST_GROUP_FREE = 50, XFS_LAST_GROUP_BLOCKS = 64 };

static uint32_t le16(const unsigned char *at)
{
	return (uint32_t)(at[0] | at[1] << 8);
}

static uint32_t le32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static bool is_power_of(uint64_t number, uint64_t base)
{
	while (number % base == 0)
		number /= base;
	return number == 1;
}

static bool has_super(const unsigned char *sb, uint64_t group)
{
	return !(le32(sb + 0x64) & EXT_SPARSE_SUPER) || group < 2 || is_power_of(group, 3) ||
	       is_power_of(group, 5) || is_power_of(group, 7);
}

/* Blocks that the tables of the last of `groups` groups take. */
static uint64_t last_group_tables(const unsigned char *sb, uint64_t groups, uint64_t block)
{
	uint32_t inode_size = le32(sb + 0x4c) ? le16(sb + 0x58) : 128;
	uint32_t described = le32(sb + 0x60) & EXT_64BIT ? le16(sb + 0xfe) : 32;
	uint64_t inode_blocks = ((uint64_t)le32(sb + 0x28) * inode_size + block - 1) / block;
	uint64_t tables = 2 + inode_blocks;

	if (has_super(sb, groups - 1))
		tables += 1 + (groups * described + block - 1) / block + le16(sb + 0xce);
	return tables;
}

static struct fs_size ext_size(const unsigned char *sb, uint64_t device_bytes)
{
	uint64_t block = 1024ull << (le32(sb + 0x18) & 31), first = le32(sb + 0x14);
	uint64_t per_group = le32(sb + 0x20), blocks = le32(sb + 0x4), reach = device_bytes / block;

	if (le32(sb + 0x60) & EXT_64BIT)
		blocks |= (uint64_t)le32(sb + 0x150) << 32;
	if (per_group && reach > first + per_group) {
		uint64_t groups = (reach - first + per_group - 1) / per_group;
		uint64_t rest = (reach - first) % per_group;

		if (rest && rest < last_group_tables(sb, groups, block) + EXT_LAST_GROUP_FREE)
			reach -= rest;
	}
	return (struct fs_size){ blocks * block, reach * block, per_group * block };
}

/* The first form of the kernel's answer, which every version gives. */
struct xfs_geometry {
	uint32_t block, rt_extent, group_blocks, groups, log_blocks, sector, inode, inode_percent;
	uint64_t data_blocks, rt_blocks, rt_extents, log_start;
	unsigned char uuid[16];
	uint32_t stripe_unit, stripe_width;
	int32_t version;
	uint32_t flags, log_sector, rt_sector, folder_block;
};
#define XFS_GEOMETRY _IOR('X', 100, struct xfs_geometry)

static int ask_xfs(int fd, struct xfs_geometry *geometry, struct err *e)
{
	memset(geometry, 0, sizeof(*geometry));
	if (ioctl(fd, XFS_GEOMETRY, geometry) < 0) {
		int errnum = errno;

		err_sys(e, errnum, "cannot ask an xfs for its size");
		if (errnum == ENOTTY)
			e->code = ERR_FAILED_PRECONDITION;
		return -1;
	}
	return 0;
}

int fs_super_xfs_bytes(int fd, uint64_t *ret_bytes, struct err *e)
{
	struct xfs_geometry geometry;

	if (ask_xfs(fd, &geometry, e) < 0)
		return -1;
	*ret_bytes = geometry.data_blocks * geometry.block;
	return 0;
}

static int xfs_size(const char *mount_path, uint64_t device_bytes, struct fs_size *ret_size,
		    struct err *e)
{
	auto_close int fd = open(mount_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct xfs_geometry geometry;

	if (fd < 0)
		return err_sys(e, errno, "cannot open '%s'", mount_path);
	if (ask_xfs(fd, &geometry, e) < 0)
		return err_wrap(e, "'%s'", mount_path);
	uint64_t reach = device_bytes / geometry.block, rest = reach % geometry.group_blocks;
	if (rest < XFS_LAST_GROUP_BLOCKS)
		reach -= rest;
	*ret_size = (struct fs_size){ geometry.data_blocks * geometry.block, reach * geometry.block,
				      (uint64_t)XFS_LAST_GROUP_BLOCKS * geometry.block };
	return 0;
}

static int read_super(const char *device, off_t at, unsigned char sb[1024], struct err *e)
{
	auto_close int fd = open(device, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "cannot open '%s'", device);
	ssize_t got = pread(fd, sb, 1024, at);
	if (got != 1024)
		return err_sys(e, got < 0 ? errno : EIO, "cannot read the superblock of '%s'",
			       device);
	return 0;
}

int fs_super_is_whole(const char *device, enum fs_type type, bool *ret_whole, struct err *e)
{
	unsigned char sb[1024];

	if (read_super(device, type == FS_XFS ? 0 : EXT_OFFSET, sb, e) < 0)
		return -1;
	*ret_whole = type == FS_XFS ? sb[XFS_IN_PROGRESS_AT] == 0
				    : le32(sb + EXT_MTIME_AT) ||
					      (le16(sb + EXT_STATE_AT) & EXT_STATE_VALID);
	return 0;
}

uint64_t fs_super_xfs_claims(const char *device)
{
	unsigned char sb[1024];
	struct err ignored;
	uint32_t block;
	uint64_t blocks;

	if (read_super(device, 0, sb, &ignored) < 0)
		return 0;
	memcpy(&block, sb + XFS_BLOCK_AT, sizeof(block));
	memcpy(&blocks, sb + XFS_BLOCKS_AT, sizeof(blocks));
	return be64toh(blocks) * be32toh(block);
}

int fs_super_size(const char *device, enum fs_type type, const char *mount_path,
		  uint64_t device_bytes, struct fs_size *ret_size, struct err *e)
{
	unsigned char sb[1024];

	if (type == FS_XFS)
		return xfs_size(mount_path, device_bytes, ret_size, e);
	if (read_super(device, EXT_OFFSET, sb, e) < 0)
		return -1;
	if (le16(sb + 0x38) != EXT_MAGIC)
		return err_set(e, ERR_FAILED_PRECONDITION, "'%s' has no %s superblock", device,
			       fs_type_name(type));
	*ret_size = ext_size(sb, device_bytes);
	return 0;
}
