/* The mount of an S3 volume in the kernel: which one is ours, and taking it away. */
#ifndef ENGINE_S3_MOUNT_H
#define ENGINE_S3_MOUNT_H

#include "engine/s3.h"
#include "sys/mountinfo.h"

#define S3_SOURCE_SIZE (VOLUME_ID_MAX + NODE_NAME_SIZE + 32)

/* The source that mountinfo shows for a volume: "lukscryptwalker-s3:{volumeID}@{node}". */
void s3_mount_source(const struct node *node, const char *id, char ret_source[S3_SOURCE_SIZE]);

/* Whether a mount is one of this volume, by this node: staged or published, alive or dead. */
bool s3_mount_is_of(const struct mount_entry *mount, const struct node *node, const char *id);

/* Where the volume is staged, at whatever path; NULL (borrowed) when it is nowhere. */
const struct mount_entry *s3_mount_staged(const struct mount_table *mounts, const struct node *node,
					  const char *id);

/* The staging mount, or NULL (borrowed). FAILED_PRECONDITION when something else is there. */
int s3_mount_find(const struct mount_table *mounts, const struct target *staging,
		  const struct node *node, const char *id, const struct mount_entry **ret_mount,
		  struct err *e) MUST_CHECK;

#endif
