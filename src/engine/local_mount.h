/* Mounting a mapping at its staging path, growing what is behind, and the root's permissions. */
#ifndef ENGINE_LOCAL_MOUNT_H
#define ENGINE_LOCAL_MOUNT_H

#include "engine/local_mapping.h"
#include "engine/local_volume.h"
#include "sys/mountinfo.h"

/*
 * Where the volume's file system is staged: a mount of it in kubelet's folder that is not in the
 * folder of a pod. NULL: nowhere. Borrowed from the table.
 */
const struct mount_entry *local_mount_staged(const struct mount_table *mounts,
					     const struct dm_info *mapping,
					     const struct kubelet_dir *kubelet);

/*
 * The staging path is a directory; a mount there is this volume's (mapping NULL: it is not open)
 * and has the flags of the capability (ALREADY_EXISTS); where there is none, the volume is staged
 * nowhere else. FAILED_PRECONDITION otherwise.
 */
int local_mount_precheck(const struct target *target, const struct dm_info *mapping,
			 const struct capability *capability, struct err *e) MUST_CHECK;

/* The mapping to the size of the image (image_bytes - offset); mapping->size_bytes is renewed. */
int local_grow_mapping(uint64_t data_offset_bytes, uint64_t image_bytes, struct dm_info *mapping,
		       const char *name, struct err *e) MUST_CHECK;

/*
 * The mounted file system to the size of its mapping, through a mount of it that is writable. One
 * that is mounted read-only everywhere grows when it is next staged: a warning says so.
 */
int local_grow_fs(const struct volume_record *record, const struct dm_info *mapping,
		  struct err *e) MUST_CHECK;

/*
 * Mounts at the staging path, unless it is mounted there, and verifies the mount in mountinfo:
 * device, root and type. Then grows the file system and sets the permissions of its root.
 * *ret_mounted is true when this call mounted. FAILED_PRECONDITION when something else is there.
 */
int local_mount_ensure(const struct volume_record *record, const struct dm_info *mapping,
		       const struct target *target, const struct capability *capability,
		       bool *ret_mounted, struct err *e) MUST_CHECK;

/*
 * Group and mode of the mounted root directory: the class's fsGroup beats the pod's; 0775 and
 * setgid with a group, fs-mode beats both. Changes only what differs, never anything below.
 */
int local_permissions(const struct params *params, const struct capability *capability,
		      const char *mount_path, struct err *e) MUST_CHECK;

/* Whether a mount is this mapping's file system, or, for `block`, its device node. */
bool local_mount_is_of(const struct mount_entry *mount, const struct dm_info *mapping, bool block);

/*
 * Whether the open volume is staged or published at the target. A staged raw block volume leaves no
 * trace at its staging path: any folder in kubelet's may be it, where nothing is mounted.
 */
bool local_mount_is_at(const struct mount_table *mounts, const struct target *target,
		       const struct dm_info *mapping, bool block);

#endif
