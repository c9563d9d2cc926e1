/* What every CSI handler works with: the node, the store, the locks. */
#ifndef CSI_SERVICE_H
#define CSI_SERVICE_H

#include <stddef.h>

#include "base/cleanup.h"
#include "engine/local.h"
#include "rpc/server.h"
#include "store/store.h"

#define DRIVER_NAME "lukscryptwalker.csi.k8s.io"
#define TOPOLOGY_KEY "topology.lukscryptwalker.csi.k8s.io/node"

struct kube_client;
struct place;

struct csi_service {
	struct node node;
	struct store *store;
	const struct place *place;
	struct kube_client *kube; /* NULL: outside of a cluster */
};

/*
 * Fills the methods of Identity, Controller and Node into `ret_methods` (CSI_METHODS_MAX places)
 * and returns how many there are. The service is borrowed for the life of the server.
 */
#define CSI_METHODS_MAX 32
size_t csi_methods(struct csi_service *service, struct rpc_method ret_methods[CSI_METHODS_MAX]);

/*
 * Takes the lock of a volume for the life of the worker's call. ABORTED while another operation
 * on the volume runs, one of an earlier instance of the driver included.
 */
int csi_lock_volume(const struct csi_service *service, const char *id, int *ret_fd,
		    struct err *e) MUST_CHECK;

/* Removes the file of a lock that is held, of a volume that is no more. */
void csi_forget_lock(const struct csi_service *service, const char *id);

rpc_handler identity_get_plugin_info, identity_get_plugin_capabilities, identity_probe;
rpc_handler controller_create_volume, controller_delete_volume, controller_validate_capabilities;
rpc_handler controller_list_volumes, controller_get_capacity, controller_get_capabilities;
rpc_handler controller_get_volume, controller_expand_volume;
rpc_handler node_stage_volume, node_unstage_volume, node_publish_volume, node_unpublish_volume;
rpc_handler node_get_volume_stats, node_expand_volume, node_get_capabilities, node_get_info;

#endif
