/*
 * On which disk of the host a local-path lies: the mount point that covers it when a volume is
 * made or seen there, kept in {state-dir}/disks.json. A disk that is mounted late, or not at all,
 * leaves the empty folder of its mount point, and a volume made in that would disappear beneath
 * the disk when it comes (research/peers.md, U2 and U25).
 *
 * Mount points are compared, not disks: another disk at the same place is good, and so is a bind
 * mount of the empty folder.
 */
#ifndef ENGINE_LOCAL_DISK_H
#define ENGINE_LOCAL_DISK_H

#include "engine/local.h"
#include "sys/mountinfo.h"
#include "volume/node_room.h"

/*
 * Whether local_path lies on the disk that it lay on, as far as that is known, or on one that is
 * mounted nearer to it. RESOURCE_EXHAUSTED when that disk is not mounted: a new volume belongs on
 * another node then. Open the path first: an automount is made by that.
 */
int local_disk_check(const struct node *node, const char *local_path, struct err *e) MUST_CHECK;

/*
 * A volume was seen in local_path: it lies on its disk now. What is known of a nearer disk stays,
 * until a person removes the file. A failure is logged: the volume is as good without.
 */
void local_disk_remember(const struct node *node, const char *local_path);

/* Adds the mount points of the disks that the table does not have. Of a damaged list: none. */
void local_disk_missing(const struct node *node, const struct mount_table *table,
			struct node_texts *ret_places);

#endif
