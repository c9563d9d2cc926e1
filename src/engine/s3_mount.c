/* The mount of an S3 volume in the kernel. */
#include "engine/s3_mount.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"

void s3_mount_source(const struct node *node, const char *id, char ret_source[S3_SOURCE_SIZE])
{
	snprintf(ret_source, S3_SOURCE_SIZE, "lukscryptwalker-s3:%s@%s", id, node->id);
}

bool s3_mount_is_of(const struct mount_entry *mount, const struct node *node, const char *id)
{
	char source[S3_SOURCE_SIZE];

	/* Kubelet's folder only: below --host-root every mount is seen a second time. */
	if (!path_is_within(mount->target, node->kubelet.resolved))
		return false;
	s3_mount_source(node, id, source);
	return strcmp(mount->type, "fuse.rclone") == 0 && strcmp(mount->source, source) == 0;
}

const struct mount_entry *s3_mount_staged(const struct mount_table *mounts, const struct node *node,
					  const char *id)
{
	for (size_t i = 0; i < mounts->count; i++)
		if (s3_mount_is_of(&mounts->entries[i], node, id) &&
		    !target_is_of_pod(&node->kubelet, mounts->entries[i].target))
			return &mounts->entries[i];
	return NULL;
}

int s3_mount_find(const struct mount_table *mounts, const struct target *staging,
		  const struct node *node, const char *id, const struct mount_entry **ret_mount,
		  struct err *e)
{
	const struct mount_entry *mount = mount_table_at(mounts, staging->path);

	if (mount && !s3_mount_is_of(mount, node, id))
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s' is already a mount of something else ('%s', type %s): it is not "
			"touched",
			staging->path, mount->source, mount->type);
	*ret_mount = mount;
	return 0;
}
