/* The last piece of a reencryption. */
#include "sys/luks_tail.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mem.h"

#define TEMPORARY_NAME "." LUKS_TAIL_NAME ".tmp"

/* What stands before the bytes. */
struct head {
	char magic[8];
	uint64_t from; /* little endian: where in the image */
};

static const char magic[8] = { 'L', 'C', 'W', 'T', 'A', 'I', 'L', '1' };

static int read_all(int fd, void *bytes, size_t size, uint64_t at, struct err *e)
{
	size_t used = 0;

	while (used < size) {
		ssize_t got = pread(fd, (char *)bytes + used, size - used, (off_t)(at + used));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_sys(e, got < 0 ? errno : EIO, "cannot read the last piece");
		used += (size_t)got;
	}
	return 0;
}

static int write_temporary(int dir_fd, const struct head *head, const void *bytes, size_t size)
{
	auto_close int fd = openat(dir_fd, TEMPORARY_NAME,
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	int rc = fd_write_all(fd, head, sizeof(*head));
	if (rc == 0)
		rc = fd_write_all(fd, bytes, size);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	return rc;
}

int luks_tail_write(int dir_fd, int image_fd, uint64_t from, uint64_t to, struct err *e)
{
	struct head head = { .from = htole64(from) };
	size_t size = (size_t)(to - from);

	if (from >= to || to - from > LUKS_TAIL_MAX)
		return err_set(e, ERR_INTERNAL, "the last piece of a reencryption is too large");
	auto_free unsigned char *bytes = xcalloc(1, size);
	if (read_all(image_fd, bytes, size, from, e) < 0)
		return -1;
	memcpy(head.magic, magic, sizeof(magic));
	int rc = write_temporary(dir_fd, &head, bytes, size);
	if (rc == 0 && renameat(dir_fd, TEMPORARY_NAME, dir_fd, LUKS_TAIL_NAME) < 0)
		rc = -errno;
	if (rc == 0 && fsync(dir_fd) < 0)
		rc = -errno;
	return rc < 0 ? err_sys(e, -rc, "cannot write '%s'", LUKS_TAIL_NAME) : 0;
}

static int write_back(int image_fd, const unsigned char *bytes, size_t size, uint64_t at,
		      struct err *e)
{
	while (size) {
		ssize_t put = pwrite(image_fd, bytes, size, (off_t)at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return err_sys(e, put < 0 ? errno : EIO,
				       "cannot write the last piece back");
		bytes += put;
		at += (uint64_t)put;
		size -= (size_t)put;
	}
	return fsync(image_fd) < 0 ? err_sys(e, errno, "cannot sync the last piece") : 0;
}

int luks_tail_restore(int dir_fd, int image_fd, struct err *e)
{
	auto_close int fd =
		fd_open_beneath(dir_fd, LUKS_TAIL_NAME, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct head head = { 0 };
	struct stat st, image;

	if (fd < 0 || fstat(fd, &st) < 0 || fstat(image_fd, &image) < 0)
		return err_set(e, ERR_FAILED_PRECONDITION, "cannot open '%s': %s", LUKS_TAIL_NAME,
			       strerror(fd < 0 ? -fd : errno));
	uint64_t size = (uint64_t)st.st_size - sizeof(head);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size <= sizeof(head) || size > LUKS_TAIL_MAX ||
	    read_all(fd, &head, sizeof(head), 0, e) < 0 ||
	    memcmp(head.magic, magic, sizeof(magic)) != 0 ||
	    le64toh(head.from) + size > (uint64_t)image.st_size)
		return err_set(e, ERR_FAILED_PRECONDITION, "'%s' is damaged", LUKS_TAIL_NAME);
	auto_free unsigned char *bytes = xcalloc(1, size);
	return read_all(fd, bytes, size, sizeof(head), e) < 0
		       ? -1
		       : write_back(image_fd, bytes, size, le64toh(head.from), e);
}

int luks_tail_remove(int dir_fd, struct err *e)
{
	static const char *const names[] = { TEMPORARY_NAME, LUKS_TAIL_NAME };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (unlinkat(dir_fd, names[i], 0) < 0 && errno != ENOENT)
			return err_sys(e, errno, "cannot remove '%s'", names[i]);
	return fsync(dir_fd) < 0 ? err_sys(e, errno, "cannot sync the volume's folder") : 0;
}
