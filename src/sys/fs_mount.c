/*
 * An xfs whose growth is only in its log when the power goes is larger after the mount that replays
 * it. Kernels before 6.12 then go on with the old size of its last allocation group ("xfs: update
 * the pag for the last AG at recovery time"): the next growth fails with "Structure needs
 * cleaning", and a write into the new space shuts it down. What is on the disk is right, and the
 * next mount finds nothing to replay. So the first mount, which nobody has seen, is given up; it
 * ends with its descriptor also when this process is killed.
 */
#include "sys/fs_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "sys/fs_super.h"
#include "sys/mount.h"

static int has_grown(int mount_fd, const char *device, uint64_t claimed_bytes, bool *ret_yes,
		     struct err *e)
{
	auto_close int root = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t bytes;

	if (root < 0)
		return err_sys(e, errno, "cannot open the root of '%s'", device);
	if (fs_super_xfs_bytes(root, &bytes, e) < 0)
		return err_wrap(e, "'%s'", device);
	*ret_yes = bytes != claimed_bytes;
	return 0;
}

int fs_mount(const char *device, enum fs_type type, int target_fd, const char *const flags[],
	     size_t count, struct err *e)
{
	uint64_t claimed_bytes = type == FS_XFS ? fs_super_xfs_claims(device) : 0;
	const char *name = fs_type_name(type);
	auto_close int mount_fd = -1;
	bool grown = false;

	if (mount_make(device, name, flags, count, false, &mount_fd, e) < 0 ||
	    (type == FS_XFS && has_grown(mount_fd, device, claimed_bytes, &grown, e) < 0))
		return -1;
	if (grown) {
		log_info("its log held a growth of the xfs: it is mounted once more",
			 KV("device", device));
		close(mount_fd);
		mount_fd = -1;
		if (mount_make(device, name, flags, count, false, &mount_fd, e) < 0)
			return -1;
	}
	return mount_attach(mount_fd, target_fd, e) < 0 ? err_wrap(e, "'%s'", device) : 0;
}
