/* Mounting a FUSE file system for a server that is another process. */
#include "sys/fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* mount(2) by number: <sys/mount.h> and <linux/mount.h> do not agree in glibc 2.36. */
static int mount_fuse(const char *source, const char *target, unsigned long flags,
		      const char *options)
{
	return (int)syscall(SYS_mount, source, target, "fuse.rclone", flags, options);
}

int fuse_mount(int target_fd, const char *source, bool read_only, int *ret_fd, struct err *e)
{
	auto_close int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char target[64], options[128];

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the kernel of this node cannot mount FUSE: run `modprobe fuse`");
	if (fd < 0)
		return err_sys(e, errno, "cannot open /dev/fuse");
	snprintf(target, sizeof(target), "/proc/self/fd/%d", target_fd);
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", fd);
	if (mount_fuse(source, target, MS_NOSUID | MS_NODEV | (read_only ? MS_RDONLY : 0),
		       options) < 0)
		return err_sys(e, errno, "cannot mount FUSE for '%s'", source);
	*ret_fd = TAKE(fd, -1);
	return 0;
}
