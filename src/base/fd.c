/* Files and directories by descriptor. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"

int fd_open_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	do {
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : (int)fd;
}

int fd_mkdirs_beneath(int dir_fd, const char *path, mode_t mode)
{
	auto_close int at = fd_open_beneath(dir_fd, ".", O_PATH | O_DIRECTORY, 0);
	char name[NAME_MAX + 1];

	if (at < 0)
		return at;
	while (*path) {
		size_t length = strcspn(path, "/");

		if (length > NAME_MAX)
			return -ENAMETOOLONG;
		if (length) {
			memcpy(name, path, length);
			name[length] = '\0';
			if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
				return -errno;
			int next = fd_open_beneath(at, name, O_PATH | O_DIRECTORY, 0);
			if (next < 0)
				return next;
			close(at);
			at = next;
		}
		path += length + (path[length] == '/');
	}
	return 0;
}

static int read_whole(int fd, size_t limit, char **ret_text)
{
	auto_free char *text = NULL;
	struct stat st;
	size_t used = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > limit)
		return -EFBIG;
	text = xcalloc(1, limit + 2);
	while (used <= limit) {
		ssize_t got = read(fd, text + used, limit + 1 - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	if (used > limit)
		return -EFBIG;
	if (memchr(text, '\0', used))
		return -EINVAL;
	*ret_text = TAKE(text, NULL);
	return 0;
}

int fd_read_file(int dir_fd, const char *name, size_t limit, char **ret_text)
{
	auto_close int fd = fd_open_beneath(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	return fd < 0 ? fd : read_whole(fd, limit, ret_text);
}

int fd_read_trusted_file(const char *path, size_t limit, char **ret_text)
{
	auto_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? -errno : read_whole(fd, limit, ret_text);
}

int fd_write_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size) {
		ssize_t put = write(fd, at, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		at += put;
		size -= (size_t)put;
	}
	return 0;
}

/* The content is on disk under the temporary name when this returns 0. */
static int write_temporary(int dir_fd, const char *name, const char *text)
{
	auto_close int fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	int rc = fd_write_all(fd, text, strlen(text));
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	return rc;
}

int fd_write_file_atomic(int dir_fd, const char *name, const char *text)
{
	char temporary[NAME_MAX + 1];

	/* One writer at a time (the volume's lock), so a fixed name leaves no litter. */
	if (snprintf(temporary, sizeof(temporary), ".%s.tmp", name) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	/* For fsync, which refuses O_PATH. Now: what fails after the rename has changed it. */
	auto_close int dir = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	int rc = write_temporary(dir_fd, temporary, text);
	if (rc == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		rc = -errno;
	if (rc < 0) {
		unlinkat(dir_fd, temporary, 0);
		return rc;
	}
	return fsync(dir) < 0 ? -errno : 0;
}

int fd_read_small(const char *path, char *buffer, size_t size)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t got = read(fd, buffer, size - 1);
	if (got < 0)
		return -errno;
	if (got > 0 && buffer[got - 1] == '\n')
		got--;
	buffer[got] = '\0';
	return 0;
}
