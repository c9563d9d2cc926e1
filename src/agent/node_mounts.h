/* Which mounts of the host can hold images of volumes. Pure: text of mountinfo in, places out. */
#ifndef AGENT_NODE_MOUNTS_H
#define AGENT_NODE_MOUNTS_H

#include "engine/local.h"
#include "sys/mountinfo.h"
#include "volume/node_room.h"

struct node_mount {
	const struct mount_entry *entry; /* borrowed of the table */
	const char *place;		 /* the mount point as the host sees it; borrowed */
};

/*
 * Writable file systems on local disks, below node->host_root: none that a network or a program
 * serves, or that is reached through one, so that asking them cannot hang; none below kubelet's
 * or the driver's own folders, or where no local-path may be. One entry per mount point, the
 * topmost; shortest paths first. Returns how many.
 */
size_t node_mounts_select(const struct mount_table *table, const struct node *node,
			  struct node_mount ret_mounts[NODE_ROOM_FILESYSTEMS_MAX]);

/* Whether a path of the host, as it lies below node->host_root, can be looked at without hanging.
 */
bool node_mounts_answer(const struct mount_table *table, const struct node *node,
			const char *host_path);

#endif
