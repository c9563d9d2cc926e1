/* Published paths, bound to a new mount. */
#include "engine/s3_rebind.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/s3_mount.h"
#include "sys/mount.h"

/*
 * The new mount is put on top of the dead one. Nothing is taken away first: a worker that dies
 * between the two steps would leave a bare folder of the node's disk, which nobody would find
 * again. And a mount on a mount goes where its copies are: a container with
 * `mountPropagation: HostToContainer` sees the new one without a restart. Unpublish takes all
 * layers away.
 */
static int rebind_one(const struct node *node, const char *staging, const struct mount_entry *old,
		      struct err *e)
{
	auto_close int target_fd = -1, source = -1;
	struct target target;

	if (target_parse(&node->kubelet, old->target, "published path", &target, e) < 0)
		return -1;
	/* Not target_open(): nobody answers a stat(2) of a dead mount. */
	target_fd = fd_open_beneath(node->kubelet.fd, target.relative,
				    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (target_fd < 0)
		return err_sys(e, -target_fd, "cannot open the published path '%s'", target.path);
	source = open(staging, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (source < 0)
		return err_sys(e, errno, "cannot open '%s'", staging);
	return mount_bind(source, target_fd, NULL, 0, mount_has_option(old->options, "ro"), e);
}

int s3_rebind(const struct node *node, const char *id, const char *staging, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	struct err first = { 0 };

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	const struct mount_entry *now = mount_table_at(&mounts, staging);
	for (size_t i = 0; now && i < mounts.count; i++) {
		const struct mount_entry *mount = &mounts.entries[i];

		if (!s3_mount_is_of(mount, node, id) || mount->device == now->device ||
		    mount_table_at(&mounts, mount->target) != mount)
			continue;
		if (rebind_one(node, staging, mount, e) == 0)
			log_warn("published path bound anew: a container that does not see it "
				 "(mountPropagation) must be restarted",
				 KV("volume", id), KV("path", mount->target));
		else if (first.code == ERR_OK)
			first = *e;
	}
	if (first.code == ERR_OK)
		return 0;
	*e = first;
	return -1;
}
