/* flock(2) on files of one folder. */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* Whether the name still leads to the file that we locked: it may have been removed between. */
static bool is_current(int dir_fd, const char *name, int fd)
{
	struct stat opened, named;

	return fstat(fd, &opened) == 0 && fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

int lock_try(int dir_fd, const char *name)
{
	for (;;) {
		/*
		 * Not O_CLOEXEC, the one exception in the house: a program started by base/proc
		 * keeps the lock of its volume until it ends, whatever happened to the worker that
		 * started it.
		 */
		auto_close int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return -errno;
		if (is_current(dir_fd, name, fd))
			return TAKE(fd, -1);
	}
}

int lock_folder(int dir_fd)
{
	if (flock(dir_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == ENOLCK || errno == EOPNOTSUPP || errno == EBADF ? 0 : -errno;
	return fcntl(dir_fd, F_SETFD, 0) < 0 ? -errno : 0;
}

int lock_wait(int dir_fd, const char *name, int64_t timeout_ms)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	int64_t end = clock_ms() + timeout_ms;
	int fd;

	while ((fd = lock_try(dir_fd, name)) == -EWOULDBLOCK && clock_ms() < end)
		nanosleep(&pause, NULL);
	return fd;
}

int lock_slot(int dir_fd, const char *prefix, unsigned slots, int64_t timeout_ms)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	int64_t end = clock_ms() + timeout_ms;
	char name[64];

	for (;;) {
		for (unsigned i = 0; i < slots; i++) {
			snprintf(name, sizeof(name), "%s.%u", prefix, i);
			int fd = lock_try(dir_fd, name);
			if (fd != -EWOULDBLOCK)
				return fd;
		}
		if (clock_ms() >= end)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}
