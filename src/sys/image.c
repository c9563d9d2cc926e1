/* Backing files. */
#include "sys/image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"

enum { CHUNK = 1 << 20 };

static void temporary_name(const char *name, char ret_name[NAME_MAX + 1])
{
	snprintf(ret_name, NAME_MAX + 1, ".%.*s.tmp", NAME_MAX - 6, name);
}

/* Thin files take their blocks later; what is not there today will not be there then. */
static int check_free(int fd, uint64_t wanted, struct err *e)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0)
		return err_sys(e, errno, "cannot ask for free space");
	if ((uint64_t)st.f_bavail * st.f_frsize < wanted)
		return err_set(e, ERR_RESOURCE_EXHAUSTED,
			       "no space left: %llu bytes are asked for, %llu are free",
			       (unsigned long long)wanted,
			       (unsigned long long)st.f_bavail * st.f_frsize);
	return 0;
}

static int reserve(int fd, uint64_t from, uint64_t to, bool thin, struct err *e)
{
	int rc;

	/* Also before fallocate(2), which would fill the disk first and then give it back. */
	if (check_free(fd, to - from, e) < 0)
		return -1;
	if (thin)
		return ftruncate(fd, (off_t)to) < 0
			       ? err_sys(e, errno, "cannot set the size of the image")
			       : 0;
	do {
		rc = fallocate(fd, 0, (off_t)from, (off_t)(to - from));
	} while (rc < 0 && errno == EINTR);
	if (rc < 0 && errno == EOPNOTSUPP)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the file system of local-path cannot reserve space: use a local-path on "
			"ext4 or xfs, or allocation 'thin'");
	if (rc < 0 && errno == EFBIG)
		return err_set(e, ERR_RESOURCE_EXHAUSTED,
			       "the file system of local-path cannot hold a file of %llu bytes",
			       (unsigned long long)to);
	return rc < 0 ? err_sys(e, errno, "cannot reserve %llu bytes for the image",
				(unsigned long long)(to - from))
		      : 0;
}

/*
 * On btrfs a file that is rewritten in place for ever would fragment, and reserved space would not
 * be used. The flag holds only for an empty file. Where it is not known there is no such need.
 */
static void no_copy_on_write(int fd)
{
	struct statfs st;
	int flags = 0;

	if (fstatfs(fd, &st) < 0 || st.f_type != BTRFS_SUPER_MAGIC ||
	    ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return;
	flags |= FS_NOCOW_FL;
	if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
		log_warn("cannot switch copy-on-write off for an image",
			 KV("error", strerror(errno)));
}

static int fill_temporary(int dir_fd, const char *temporary, uint64_t size_bytes, bool thin,
			  struct err *e)
{
	auto_close int fd = openat(dir_fd, temporary,
				   O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, errno, "cannot create the image");
	no_copy_on_write(fd);
	if (reserve(fd, 0, size_bytes, thin, e) < 0)
		return -1;
	return fsync(fd) < 0 ? err_sys(e, errno, "cannot sync the image") : 0;
}

int image_create(int dir_fd, const char *name, uint64_t size_bytes, bool thin, struct err *e)
{
	char temporary[NAME_MAX + 1];

	temporary_name(name, temporary);
	int rc = fill_temporary(dir_fd, temporary, size_bytes, thin, e);
	if (rc == 0 &&
	    syscall(SYS_renameat2, dir_fd, temporary, dir_fd, name, RENAME_NOREPLACE) < 0)
		rc = err_sys(e, errno, "cannot put the image '%s' into its place", name);
	if (rc == 0 && fsync(dir_fd) < 0)
		return err_sys(e, errno, "cannot sync the folder of '%s'", name);
	if (rc < 0)
		unlinkat(dir_fd, temporary, 0);
	return rc;
}

int image_open(int dir_fd, const char *name, int flags, int *ret_fd, struct err *e)
{
	struct stat st;
	auto_close int fd = fd_open_beneath(dir_fd, name, flags | O_NONBLOCK | O_NOCTTY, 0);

	if (fd == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, "the image '%s' does not exist", name);
	if (fd == -ELOOP)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the image '%s' is a symbolic link: the driver follows none", name);
	if (fd < 0)
		return err_sys(e, -fd, "cannot open the image '%s'", name);
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot look at the image '%s'", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FAILED_PRECONDITION, "the image '%s' is not a regular file",
			       name);
	*ret_fd = TAKE(fd, -1);
	return 0;
}

int image_check_single(int fd, const char *name, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot look at the image '%s'", name);
	if (st.st_nlink != 1)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the image '%s' has %llu names (hard links): the driver would change "
			"the file behind the others; copy it and leave one name",
			name, (unsigned long long)st.st_nlink);
	return 0;
}

int image_grow(int fd, uint64_t size_bytes, bool thin, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot look at the image");
	uint64_t before = (uint64_t)st.st_size;
	if (before < size_bytes && reserve(fd, before, size_bytes, thin, e) < 0) {
		/* A part may have been reserved; the size must be as it was. */
		int ignored = ftruncate(fd, (off_t)before);
		(void)ignored;
		return -1;
	}
	/* Also when it was large enough: an earlier call may have been killed before it came here.
	 */
	return fsync(fd) < 0 ? err_sys(e, errno, "cannot sync the image") : 0;
}

/* Where the next written bytes begin, at or after `at`; `size` when there are none. */
static uint64_t next_data(int fd, uint64_t at, uint64_t size)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);

	if (data >= 0)
		return (uint64_t)data;
	return errno == ENXIO ? size : at; /* else the file system cannot tell: all is read */
}

int image_is_zero(int fd, uint64_t from, bool *ret_zero, struct err *e)
{
	static const unsigned char zeros[64 * 1024];
	unsigned char bytes[sizeof(zeros)];
	off_t size = lseek(fd, 0, SEEK_END);
	uint64_t at = from;

	*ret_zero = false;
	if (size < 0)
		return err_sys(e, errno, "cannot look at the image");
	while ((at = next_data(fd, at, (uint64_t)size)) < (uint64_t)size) {
		ssize_t got = pread(fd, bytes, sizeof(bytes), (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, errno, "cannot read the image at byte %llu",
				       (unsigned long long)at);
		if (got == 0)
			break;
		if (memcmp(bytes, zeros, (size_t)got) != 0)
			return 0;
		at += (uint64_t)got;
	}
	*ret_zero = true;
	return 0;
}

static int overwrite(int fd, uint64_t length, bool random, struct err *e)
{
	static unsigned char bytes[64 * 1024];

	memset(bytes, 0, sizeof(bytes));
	/* What was never written holds nothing, and may find no room on a full disk. */
	for (uint64_t at = 0; (at = next_data(fd, at, length)) < length;) {
		size_t want = length - at < sizeof(bytes) ? (size_t)(length - at) : sizeof(bytes);

		if (random && getrandom(bytes, want, 0) != (ssize_t)want) {
			if (errno == EINTR)
				continue;
			return err_sys(e, errno, "cannot get random bytes");
		}
		ssize_t put = pwrite(fd, bytes, want, (off_t)at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return err_sys(e, put < 0 ? errno : EIO, "cannot erase the LUKS header");
		at += (uint64_t)put;
	}
	return fsync(fd) < 0 ? err_sys(e, errno, "cannot sync the erased LUKS header") : 0;
}

int image_erase_head(int fd, uint64_t length, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot look at the image");
	if ((uint64_t)st.st_size < length)
		length = (uint64_t)st.st_size;
	return overwrite(fd, length, true, e) < 0 ? -1 : overwrite(fd, length, false, e);
}

static int unlink_one(int dir_fd, const char *name, struct err *e)
{
	if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot remove '%s'", name);
	return 0;
}

int image_unlink(int dir_fd, const char *name, int fd, struct err *e)
{
	char temporary[NAME_MAX + 1];
	struct stat opened, named;

	if (fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return err_sys(e, errno, "cannot look at '%s'", name);
	} else {
		if (fd < 0 || fstat(fd, &opened) < 0 || opened.st_ino != named.st_ino ||
		    opened.st_dev != named.st_dev)
			return err_set(
				e, ERR_FAILED_PRECONDITION,
				"'%s' was replaced while it was being deleted: it is not removed",
				name);
		if (unlink_one(dir_fd, name, e) < 0)
			return -1;
	}
	temporary_name(name, temporary);
	if (unlink_one(dir_fd, temporary, e) < 0)
		return -1;
	return fsync(dir_fd) < 0 ? err_sys(e, errno, "cannot sync the folder of '%s'", name) : 0;
}
