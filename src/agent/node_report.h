/*
 * What this node can still hold, told to the cluster: one LUKSNode per node
 * (docs/kubernetes-objects.md). For a worker: looking at disks and asking the API server block.
 */
#ifndef AGENT_NODE_REPORT_H
#define AGENT_NODE_REPORT_H

#include "engine/local.h"
#include "kube/client.h"
#include "store/store.h"
#include "volume/node_room.h"

/*
 * Looks at the disks of the host, at the volumes of this node that the store knows, and for images
 * that it does not know, in the folders that a volume, --allow-path or the default of local-path
 * name. A disk or folder that does not answer with sense is left out; nothing that a network or
 * a program serves is touched. Release with node_room_done().
 */
int node_report_look(const struct node *node, struct store *store, struct node_room *ret_room,
		     struct err *e) MUST_CHECK;

/*
 * Makes the LUKSNode of room->name if it is missing, and writes its status: two requests.
 * FAILED_PRECONDITION with the command when the cluster does not know the kind.
 */
int node_report_send(struct kube_client *client, const struct node_room *room,
		     struct err *e) MUST_CHECK;

#endif
