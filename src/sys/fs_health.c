/* Whether a mounted file system works. */
#include "sys/fs_health.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/parse.h"

#define ADVICE "see the kernel log of the node, then unstage and check it"
enum { BLOCK_BYTES = 4096 };

/* e2fsck sets the count to 0 when it has found nothing any more. */
static int check_error_count(unsigned dm_minor, struct err *e)
{
	char path[64], text[32];
	uint64_t count;

	snprintf(path, sizeof(path), "/sys/fs/ext4/dm-%u/errors_count", dm_minor);
	if (fd_read_small(path, text, sizeof(text)) < 0 || !parse_uint(text, UINT64_MAX, &count) ||
	    count == 0)
		return 0;
	return err_set(e, ERR_FAILED_PRECONDITION,
		       "the file system has counted %s errors and takes no more writes: " ADVICE,
		       text);
}

/* An xfs that has shut itself down answers this with EIO. */
static int check_root(const char *mount_path, struct err *e)
{
	auto_closedir DIR *root = opendir(mount_path);

	errno = root ? 0 : errno;
	if (root && (readdir(root) || errno == 0))
		return 0;
	return err_set(e, ERR_FAILED_PRECONDITION, "the file system cannot be read (%s): " ADVICE,
		       strerror(errno));
}

static int check_device(const char *device, struct err *e)
{
	_Alignas(BLOCK_BYTES) unsigned char block[BLOCK_BYTES];
	auto_close int fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd >= 0 && pread(fd, block, sizeof(block), 0) == (ssize_t)sizeof(block))
		return 0;
	return err_set(e, ERR_FAILED_PRECONDITION,
		       "the disk below the volume cannot be read (%s): " ADVICE, strerror(errno));
}

int fs_health(const char *device, unsigned dm_minor, enum fs_type type, const char *mount_path,
	      struct err *e)
{
	if (type != FS_XFS && check_error_count(dm_minor, e) < 0)
		return -1;
	return check_device(device, e) < 0 ? -1 : check_root(mount_path, e);
}
