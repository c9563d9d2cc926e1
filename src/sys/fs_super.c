/*
 * Superblocks: ext (Documentation/filesystems/ext4/super.rst: little-endian, at byte 1024) and
 * xfs (XFS Algorithms and Data Structures, chapter superblocks: big-endian, at byte 0). A mounted
 * ext4 keeps its superblock in the page cache of the device, so a plain read sees it; xfs does
 * not, so its blocks come from statvfs(3), which counts all but the log.
 */
#include "sys/fs_super.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { EXT_OFFSET = 1024, EXT_MAGIC = 0xef53, EXT_64BIT = 0x80, XFS_MIN_GROWTH = 16 << 20 };

static uint32_t le32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static uint64_t ext_bytes(const unsigned char *sb, uint64_t *unit)
{
	uint64_t blocks = le32(sb + 0x4), block = 1024ull << (le32(sb + 0x18) & 31);

	if (le32(sb + 0x60) & EXT_64BIT)
		blocks |= (uint64_t)le32(sb + 0x150) << 32;
	/* Less than about 50 blocks of a last group is left unused. */
	*unit = block * 64;
	return blocks * block;
}

static int xfs_bytes(const unsigned char *sb, const char *mount_path, uint64_t *ret_bytes,
		     struct err *e)
{
	uint32_t block, log_blocks;
	struct statvfs st;

	memcpy(&block, sb + 4, sizeof(block));
	memcpy(&log_blocks, sb + 96, sizeof(log_blocks));
	if (statvfs(mount_path, &st) < 0)
		return err_sys(e, errno, "cannot ask for the size of '%s'", mount_path);
	*ret_bytes = (uint64_t)st.f_blocks * st.f_frsize +
		     (uint64_t)be32toh(log_blocks) * be32toh(block);
	return 0;
}

int fs_super_size(const char *device, enum fs_type type, const char *mount_path,
		  uint64_t *ret_bytes, uint64_t *ret_unit, struct err *e)
{
	unsigned char sb[1024];
	auto_close int fd = open(device, O_RDONLY | O_CLOEXEC);
	off_t at = type == FS_XFS ? 0 : EXT_OFFSET;

	if (fd < 0)
		return err_sys(e, errno, "cannot open '%s'", device);
	ssize_t got = pread(fd, sb, sizeof(sb), at);
	if (got != (ssize_t)sizeof(sb))
		return err_sys(e, got < 0 ? errno : EIO, "cannot read the superblock of '%s'",
			       device);
	if (type == FS_XFS && memcmp(sb, "XFSB", 4) == 0) {
		*ret_unit = XFS_MIN_GROWTH;
		return xfs_bytes(sb, mount_path, ret_bytes, e);
	}
	if (type != FS_XFS && (sb[0x38] | sb[0x39] << 8) == EXT_MAGIC) {
		*ret_bytes = ext_bytes(sb, ret_unit);
		return 0;
	}
	return err_set(e, ERR_FAILED_PRECONDITION, "'%s' has no %s superblock", device,
		       fs_type_name(type));
}
