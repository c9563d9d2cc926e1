/* The LUKSNode of a node, written. */
#include "agent/node_report.h"
#include "base/cleanup.h"

#define MANAGER "lukscryptwalker-node"

static json_t *luksnode(const struct node_room *room)
{
	return json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", NODE_ROOM_API, "kind", NODE_ROOM_KIND,
			 "metadata", "name", room->name);
}

int node_report_send(struct kube_client *client, const struct node_room *room, struct err *e)
{
	auto_free char *path = kube_path(NODE_ROOM_RESOURCE, room->name, NULL, NULL);
	auto_free char *status_path = kube_path(NODE_ROOM_RESOURCE, room->name, "status", NULL);
	auto_json json_t *object = luksnode(room), *before = NULL;

	json_object_set_new(object, "spec", json_object());
	if (kube_apply(client, path, MANAGER, object, &before, e) < 0) {
		/* An apply makes the object: it is the kind that is not there. */
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the cluster does not know the kind LUKSNode: run 'kubectl apply -f' on "
			"the CRDs of this version, deploy/00-crds.yaml (helm does not "
			"install them on upgrade)");
	}
	json_object_del(object, "spec");
	json_object_set_new(object, "status", node_room_status(room, before));
	return kube_apply(client, status_path, MANAGER, object, NULL, e);
}
