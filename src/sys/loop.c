/* Loop devices. */
#include "sys/loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

enum { LOOP_MAJOR = 7, ATTACH_TRIES = 64, OPEN_TRIES = 50 };

static void pause_ms(long ms)
{
	const struct timespec pause = { .tv_nsec = ms * 1000000 };

	nanosleep(&pause, NULL);
}

/* In a container /dev may lack devices that were added after its start. */
static int open_loop(unsigned number, int flags, struct loop *ret_loop)
{
	struct loop loop = { .number = number };

	snprintf(loop.path, sizeof(loop.path), "/dev/loop%u", number);
	loop.fd = open(loop.path, flags | O_CLOEXEC);
	if (loop.fd < 0 && errno == ENOENT &&
	    (mknod(loop.path, S_IFBLK | 0600, makedev(LOOP_MAJOR, number)) == 0 || errno == EEXIST))
		loop.fd = open(loop.path, flags | O_CLOEXEC);
	if (loop.fd < 0)
		return -errno;
	*ret_loop = loop;
	return 0;
}

static int no_module(int errnum, struct err *e)
{
	if (errnum == ENOENT || errnum == ENXIO || errnum == ENODEV)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the kernel of this node has no loop devices: run `modprobe loop`");
	return err_sys(e, errnum, "cannot open /dev/loop-control");
}

static int configure(const struct loop *loop, int image_fd, unsigned block_size, bool read_only)
{
	struct loop_config config = { .fd = (unsigned)image_fd, .block_size = block_size };
	char link[64], path[PATH_MAX];

	config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
	if (read_only)
		config.info.lo_flags |= LO_FLAGS_READ_ONLY;
	/* Only shown to people (losetup); what counts is the inode. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", image_fd);
	ssize_t length = readlink(link, path, sizeof(path) - 1);
	if (length > 0 && length < LO_NAME_SIZE)
		memcpy(config.info.lo_file_name, path, (size_t)length);
	return ioctl(loop->fd, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

int loop_attach(int image_fd, unsigned block_size, bool read_only, struct loop *ret_loop,
		struct err *e)
{
	auto_close int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int rc = 0;

	if (control < 0)
		return no_module(errno, e);
	for (int i = 0; i < ATTACH_TRIES; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		auto_loop struct loop loop = LOOP_NONE;

		if (number < 0)
			return err_sys(e, errno, "cannot get a free loop device");
		rc = open_loop((unsigned)number, read_only ? O_RDONLY : O_RDWR, &loop);
		if (rc == 0)
			rc = configure(&loop, image_fd, block_size, read_only);
		if (rc == 0) {
			*ret_loop = loop;
			loop = LOOP_NONE;
			return 0;
		}
		/* Somebody else took it between the two calls. */
		if (rc != -EBUSY && rc != -ENXIO && rc != -EAGAIN)
			break;
		pause_ms(1 + i);
	}
	return err_sys(e, -rc, "cannot attach the image to a loop device");
}

static bool same_inode(const struct loop_info64 *info, const struct stat *image)
{
	return info->lo_inode == image->st_ino && info->lo_device == image->st_dev;
}

/* 0 with *ret_yes, or -errno; a device that is not attached (any more) is "no". */
static int is_backed_by(const struct loop *loop, const struct stat *image, bool *ret_yes)
{
	struct loop_info64 info;

	*ret_yes = false;
	if (ioctl(loop->fd, LOOP_GET_STATUS64, &info) < 0)
		return errno == ENXIO ? 0 : -errno;
	*ret_yes = same_inode(&info, image);
	return 0;
}

int loop_is_backed_by(unsigned number, const struct stat *image, bool *ret_yes, struct err *e)
{
	auto_loop struct loop loop = LOOP_NONE;
	int rc = open_loop(number, O_RDONLY, &loop);

	if (rc == 0)
		rc = is_backed_by(&loop, image, ret_yes);
	return rc < 0 ? err_sys(e, -rc, "cannot look at /dev/loop%u", number) : 0;
}

/* *ret_number of the next attached loop device of /sys/block. false: no more. */
static bool next_attached(DIR *dir, unsigned *ret_number)
{
	for (struct dirent *entry; (entry = readdir(dir));) {
		char path[64];

		if (sscanf(entry->d_name, "loop%u", ret_number) != 1)
			continue;
		snprintf(path, sizeof(path), "/sys/block/loop%u/loop", *ret_number);
		if (access(path, F_OK) == 0 || errno != ENOENT)
			return true;
	}
	return false;
}

/* What the kernel shows people: the last part of the path, with " (deleted)" where it is so. */
static bool shows_name(unsigned number, const char *name)
{
	char shown[64], path[PATH_MAX];

	snprintf(shown, sizeof(shown), "/sys/block/loop%u/loop/backing_file", number);
	if (fd_read_small(shown, path, sizeof(path)) < 0)
		return true;
	const char *slash = strrchr(path, '/');
	return strncmp(slash ? slash + 1 : path, name, strlen(name)) == 0;
}

/* Whose status cannot be read is on a file that is out of reach: not ours, unless by its name. */
static int look_at(const struct loop *loop, const struct stat *image, const char *name,
		   bool *ret_yes, struct err *e)
{
	int rc = is_backed_by(loop, image, ret_yes);

	if (rc == 0 || (rc != -EINTR && !shows_name(loop->number, name)))
		return 0;
	return err_sys(e, -rc, "cannot look at %s", loop->path);
}

int loop_find(const struct stat *image, const char *name, bool *ret_found, struct loop *ret_loop,
	      struct err *e)
{
	auto_closedir DIR *dir = opendir("/sys/block");
	auto_loop struct loop found = LOOP_NONE;
	unsigned number;

	*ret_found = false;
	if (!dir)
		return err_sys(e, errno, "cannot list /sys/block");
	while (next_attached(dir, &number)) {
		auto_loop struct loop loop = LOOP_NONE;
		bool yes = false;
		int rc = open_loop(number, O_RDONLY, &loop);

		if (rc == -ENXIO || rc == -ENOENT)
			continue;
		if (rc < 0)
			return err_sys(e, -rc, "cannot look at /dev/loop%u", number);
		if (look_at(&loop, image, name, &yes, e) < 0)
			return -1;
		if (!yes)
			continue;
		if (found.fd >= 0)
			return err_set(e, ERR_FAILED_PRECONDITION,
				       "the image is attached twice, to %s and %s: detach one with "
				       "`losetup -d` before it is destroyed",
				       found.path, loop.path);
		found = loop;
		loop = LOOP_NONE;
	}
	*ret_found = found.fd >= 0;
	*ret_loop = found;
	found = LOOP_NONE;
	return 0;
}

int loop_refresh_size(const struct loop *loop, struct err *e)
{
	if (ioctl(loop->fd, LOOP_SET_CAPACITY, 0) < 0)
		return err_sys(e, errno, "cannot renew the size of %s", loop->path);
	return 0;
}

int loop_backing(unsigned number, struct loop_backing *ret_backing, struct err *e)
{
	auto_loop struct loop loop = LOOP_NONE;
	struct loop_info64 info;
	int rc = open_loop(number, O_RDONLY, &loop);

	*ret_backing = (struct loop_backing){ 0, 0 };
	if (rc == 0 && ioctl(loop.fd, LOOP_GET_STATUS64, &info) < 0)
		rc = -errno;
	if (rc == -ENXIO || rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_sys(e, -rc, "cannot look at /dev/loop%u", number);
	*ret_backing = (struct loop_backing){ info.lo_device, info.lo_inode };
	return 0;
}

int loop_wait_detached(unsigned number, const struct loop_backing *backing, int64_t timeout_ms,
		       struct err *e)
{
	int64_t end = clock_ms() + timeout_ms;
	struct loop_backing now;

	for (;;) {
		if (loop_backing(number, &now, e) < 0)
			return -1;
		if (now.inode != backing->inode || now.device != backing->device)
			return 0;
		if (clock_ms() >= end)
			return err_set(e, ERR_FAILED_PRECONDITION,
				       "/dev/loop%u is still attached: something else has it open",
				       number);
		pause_ms(5);
	}
}

void loop_close(struct loop *loop)
{
	if (loop->fd >= 0)
		close(loop->fd);
	loop->fd = -1;
}
