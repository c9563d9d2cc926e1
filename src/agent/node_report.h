/* What the node says of itself: its LUKSNode. */
#ifndef AGENT_NODE_REPORT_H
#define AGENT_NODE_REPORT_H

#include "csi/service.h"
#include "sys/mountinfo.h"
#include "volume/node_room.h"

/*
 * The mounts below `host_root` on which images may lie, by the paths that the host has for them:
 * writable file systems of local disks, but nothing below `kubelet_dir`. Only mount points and
 * types are filled. Pure.
 */
void node_report_mounts(const struct mount_table *mounts, const char *host_root,
			const char *kubelet_dir, struct node_room *room);

/* Looks at disks and records. May block on a disk that hangs. */
int node_report_look(const struct csi_service *service, struct node_room *ret_room,
		     struct err *e) MUST_CHECK;

/* Writes the LUKSNode, which is made when it is missing. */
int node_report_send(struct kube_client *client, const struct node_room *room,
		     struct err *e) MUST_CHECK;

#endif
