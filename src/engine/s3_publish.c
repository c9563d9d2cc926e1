/* NodePublishVolume and NodeUnpublishVolume of an S3 volume. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/s3_child.h"
#include "engine/s3_mount.h"
#include "sys/mount.h"

enum { LAYERS_MAX = 1000 };

/* The staging mount, with an rclone behind it: a dead one, or a bare folder, is never bound. */
static int check_staged(const struct node *node, const struct mount_table *mounts,
			const struct target *staging, const char *id,
			const struct mount_entry **ret_mount, struct err *e)
{
	struct s3_child child;

	if (s3_mount_find(mounts, staging, node, id, ret_mount, e) < 0)
		return -1;
	if (!*ret_mount)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"volume '%s' is not mounted at the staging path '%s': stage it again", id,
			staging->path);
	if (s3_child_look(node, id, &child, e) < 0)
		return -1;
	if (!child.alive)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the rclone of volume '%s' has ended (%s): delete all pods of this "
			       "node that use the volume, for it is mounted anew only when the "
			       "last of them is gone",
			       id, *child.error ? child.error : "its log tells no reason");
	return 0;
}

/* How often the volume is published elsewhere than at this target. */
static unsigned others(const struct mount_table *mounts, const struct node *node, const char *id,
		       const char *staging, const char *target)
{
	unsigned count = 0;

	for (size_t i = 0; i < mounts->count; i++) {
		const struct mount_entry *mount = &mounts->entries[i];

		if (s3_mount_is_of(mount, node, id) && strcmp(mount->target, staging) != 0 &&
		    strcmp(mount->target, target) != 0)
			count++;
	}
	return count;
}

/* *ret_done: it is published there already, in the way that is asked for. */
static int check_target(const struct mount_table *mounts, const struct mount_entry *staged,
			const struct target *target, const struct node *node, const char *id,
			bool read_only, bool *ret_done, struct err *e)
{
	const struct mount_entry *mount = mount_table_at(mounts, target->path);

	*ret_done = false;
	if (!mount)
		return 0;
	if (!s3_mount_is_of(mount, node, id))
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s' is already a mount of something else ('%s'): it is not touched",
			target->path, mount->source);
	if (mount->device != staged->device)
		return mount_detach(target->path, e); /* of an rclone that is gone */
	if (mount_has_option(mount->options, "ro") != read_only)
		return err_set(e, ERR_ALREADY_EXISTS,
			       "volume '%s' is published at '%s' already, but %s", id, target->path,
			       read_only ? "writable" : "read-only");
	*ret_done = true;
	return 0;
}

static int bind(const struct target *staging, const struct target *target,
		const struct publish_request *request, bool read_only, struct err *e)
{
	auto_close int source = open(staging->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	auto_close int target_fd = -1;

	if (source < 0)
		return err_sys(e, errno, "cannot open '%s'", staging->path);
	if (target_open(target, TARGET_DIRECTORY, &target_fd, e) < 0)
		return -1;
	return mount_bind(source, target_fd, request->capability.flags,
			  request->capability.flag_count, read_only, e);
}

int s3_publish(const struct node *node, const struct publish_request *request, struct err *e)
{
	const char *id = request->record->id;
	bool read_only = request->read_only || capability_is_reader(&request->capability) ||
			 capability_has_flag(&request->capability, "ro");
	bool done;
	auto_mount_table struct mount_table mounts = { 0 };
	const struct mount_entry *staged;
	struct target staging, target;

	if (target_parse(&node->kubelet, request->staging_path, "staging path", &staging, e) < 0 ||
	    target_parse(&node->kubelet, request->target_path, "target path", &target, e) < 0 ||
	    mount_table_read(&mounts, e) < 0 ||
	    check_staged(node, &mounts, &staging, id, &staged, e) < 0)
		return -1;
	if (request->capability.mode == ACCESS_SINGLE_NODE_SINGLE_WRITER &&
	    others(&mounts, node, id, staging.path, target.path) > 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "volume '%s' is published at another path on this node, and its "
			       "access mode allows one (ReadWriteOncePod)",
			       id);
	if (check_target(&mounts, staged, &target, node, id, read_only, &done, e) < 0)
		return -1;
	return done ? 0 : bind(&staging, &target, request, read_only, e);
}

int s3_unpublish(const struct node *node, const char *id, const char *target_path, struct err *e)
{
	struct target target;

	if (target_parse(&node->kubelet, target_path, "target path", &target, e) < 0)
		return -1;
	/* Each recovery has put a layer on top (s3_rebind()). */
	for (int layers = 0; layers < LAYERS_MAX; layers++) {
		auto_mount_table struct mount_table mounts = { 0 };
		struct s3_child child;

		if (mount_table_read(&mounts, e) < 0)
			return -1;
		const struct mount_entry *mount = mount_table_at(&mounts, target.path);
		if (!mount)
			return target_remove(&target, e);
		if (!s3_mount_is_of(mount, node, id))
			return err_set(e, ERR_FAILED_PRECONDITION,
				       "'%s' is a mount of something else ('%s'), not of volume "
				       "'%s': it is not touched",
				       target.path, mount->source, id);
		/* A dead mount is nobody's: what still has it open cannot read or write there. */
		bool dead = s3_child_look(node, id, &child, e) == 0 && !child.alive;
		if ((dead ? mount_detach(target.path, e) : mount_remove(target.path, e)) < 0)
			return -1;
	}
	return err_set(e, ERR_ABORTED,
		       "'%s' was mounted more than %d times over itself: the next call takes more "
		       "of it away",
		       target.path, LAYERS_MAX);
}
