/* The table of methods, and what volume operations share: the lock and the mirror. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "csi/service.h"
#include "gen/csi.pb-c.h"

/* What is answered inline must not touch a disk, a device or a mount. */
#define IN_LOOP false
#define IN_WORKER true

size_t csi_methods(struct csi_service *service, struct rpc_method ret_methods[CSI_METHODS_MAX])
{
#define METHOD(group, name, message, handler, where)                                               \
	{                                                                                          \
		"/csi.v1." group "/" name, &csi__v1__##message##__descriptor, handler, service,    \
			where                                                                      \
	}
	const struct rpc_method methods[] = {
		METHOD("Identity", "GetPluginInfo", get_plugin_info_request,
		       identity_get_plugin_info, IN_LOOP),
		METHOD("Identity", "GetPluginCapabilities", get_plugin_capabilities_request,
		       identity_get_plugin_capabilities, IN_LOOP),
		METHOD("Identity", "Probe", probe_request, identity_probe, IN_LOOP),
		METHOD("Controller", "CreateVolume", create_volume_request,
		       controller_create_volume, IN_WORKER),
		METHOD("Controller", "DeleteVolume", delete_volume_request,
		       controller_delete_volume, IN_WORKER),
		METHOD("Controller", "ValidateVolumeCapabilities",
		       validate_volume_capabilities_request, controller_validate_capabilities,
		       IN_WORKER),
		METHOD("Controller", "ListVolumes", list_volumes_request, controller_list_volumes,
		       IN_WORKER),
		METHOD("Controller", "GetCapacity", get_capacity_request, controller_get_capacity,
		       IN_WORKER),
		METHOD("Controller", "ControllerGetCapabilities",
		       controller_get_capabilities_request, controller_get_capabilities, IN_LOOP),
		METHOD("Controller", "ControllerGetVolume", controller_get_volume_request,
		       controller_get_volume, IN_WORKER),
		METHOD("Controller", "ControllerExpandVolume", controller_expand_volume_request,
		       controller_expand_volume, IN_WORKER),
		METHOD("Node", "NodeStageVolume", node_stage_volume_request, node_stage_volume,
		       IN_WORKER),
		METHOD("Node", "NodeUnstageVolume", node_unstage_volume_request,
		       node_unstage_volume, IN_WORKER),
		METHOD("Node", "NodePublishVolume", node_publish_volume_request,
		       node_publish_volume, IN_WORKER),
		METHOD("Node", "NodeUnpublishVolume", node_unpublish_volume_request,
		       node_unpublish_volume, IN_WORKER),
		METHOD("Node", "NodeGetVolumeStats", node_get_volume_stats_request,
		       node_get_volume_stats, IN_WORKER),
		METHOD("Node", "NodeExpandVolume", node_expand_volume_request, node_expand_volume,
		       IN_WORKER),
		METHOD("Node", "NodeGetCapabilities", node_get_capabilities_request,
		       node_get_capabilities, IN_LOOP),
		METHOD("Node", "NodeGetInfo", node_get_info_request, node_get_info, IN_LOOP),
	};
#undef METHOD
	_Static_assert(ARRAY_LEN(methods) <= CSI_METHODS_MAX, "CSI_METHODS_MAX is too small");

	memcpy(ret_methods, methods, sizeof(methods));
	return ARRAY_LEN(methods);
}

int csi_lock_volume(const struct csi_service *service, const char *id, int *ret_fd, struct err *e)
{
	char name[VOLUME_NAME_SIZE];

	volume_lock_name(id, name);
	int fd = lock_try(service->node.run_fd, name);
	if (fd == -EWOULDBLOCK)
		return err_set(e, ERR_ABORTED,
			       "another operation on volume '%s' is running: try again", id);
	if (fd < 0)
		return err_sys(e, -fd, "cannot lock volume '%s'", id);
	*ret_fd = fd;
	return 0;
}

void csi_forget_lock(const struct csi_service *service, const char *id)
{
	char name[VOLUME_NAME_SIZE];

	volume_lock_name(id, name);
	if (unlinkat(service->node.run_fd, name, 0) < 0 && errno != ENOENT)
		log_warn("cannot remove the lock file of a deleted volume", KV("volume", id));
}
