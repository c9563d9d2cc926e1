/* Published paths, bound to a new mount. */
#include "engine/s3_rebind.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/s3_mount.h"
#include "sys/mount.h"

static int rebind_one(const struct node *node, const char *staging, const struct mount_entry *old,
		      struct err *e)
{
	auto_close int target_fd = -1, source = -1;
	struct target target;

	if (target_parse(&node->kubelet, old->target, "published path", &target, e) < 0 ||
	    mount_detach(target.path, e) < 0 ||
	    target_open(&target, TARGET_DIRECTORY, &target_fd, e) < 0)
		return -1;
	source = open(staging, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (source < 0)
		return err_sys(e, errno, "cannot open '%s'", staging);
	return mount_bind(source, target_fd, NULL, 0, mount_has_option(old->options, "ro"), e);
}

int s3_rebind(const struct node *node, const char *id, const char *staging, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	const struct mount_entry *now = mount_table_at(&mounts, staging);
	for (size_t i = 0; now && i < mounts.count; i++) {
		const struct mount_entry *mount = &mounts.entries[i];

		if (!s3_mount_is_of(mount, node, id) || mount->device == now->device)
			continue;
		if (rebind_one(node, staging, mount, e) < 0)
			return -1;
		log_warn("published path bound anew: containers that had files open there must be "
			 "restarted",
			 KV("volume", id), KV("path", mount->target));
	}
	return 0;
}
