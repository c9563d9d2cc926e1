/* What the node can do, how full a volume is, and growing what is mounted. */
#include <string.h>

#include "csi/reply.h"
#include "csi/request.h"
#include "csi/s3.h"
#include "csi/local.h"
#include "csi/size.h"
#include "rpc/call.h"

/*
 * Loop and device-mapper have no small limit of their own; each staged volume costs kernel memory
 * and a mount in every mount namespace, and the scheduler should spread long before that hurts.
 */
enum { MAX_VOLUMES_PER_NODE = 1000 };

int node_get_capabilities(struct rpc_call *call, struct err *e)
{
	static const Csi__V1__NodeServiceCapability__RPC__Type offered[] = {
		CSI__V1__NODE_SERVICE_CAPABILITY__RPC__TYPE__STAGE_UNSTAGE_VOLUME,
		CSI__V1__NODE_SERVICE_CAPABILITY__RPC__TYPE__GET_VOLUME_STATS,
		CSI__V1__NODE_SERVICE_CAPABILITY__RPC__TYPE__EXPAND_VOLUME,
		CSI__V1__NODE_SERVICE_CAPABILITY__RPC__TYPE__VOLUME_CONDITION,
		CSI__V1__NODE_SERVICE_CAPABILITY__RPC__TYPE__SINGLE_NODE_MULTI_WRITER,
		CSI__V1__NODE_SERVICE_CAPABILITY__RPC__TYPE__VOLUME_MOUNT_GROUP,
	};
	Csi__V1__NodeServiceCapability__RPC rpc[ARRAY_LEN(offered)];
	Csi__V1__NodeServiceCapability capability[ARRAY_LEN(offered)];
	Csi__V1__NodeServiceCapability *list[ARRAY_LEN(offered)];
	Csi__V1__NodeGetCapabilitiesResponse reply = CSI__V1__NODE_GET_CAPABILITIES_RESPONSE__INIT;

	for (size_t i = 0; i < ARRAY_LEN(offered); i++) {
		csi__v1__node_service_capability__rpc__init(&rpc[i]);
		rpc[i].type = offered[i];
		csi__v1__node_service_capability__init(&capability[i]);
		capability[i].type_case = CSI__V1__NODE_SERVICE_CAPABILITY__TYPE_RPC;
		capability[i].rpc = &rpc[i];
		list[i] = &capability[i];
	}
	reply.n_capabilities = ARRAY_LEN(offered);
	reply.capabilities = list;
	return rpc_call_reply(call, &reply.base, e);
}

int node_get_info(struct rpc_call *call, struct err *e)
{
	const struct csi_service *service = call->service;
	Csi__V1__Topology__SegmentsEntry segment = CSI__V1__TOPOLOGY__SEGMENTS_ENTRY__INIT;
	Csi__V1__Topology__SegmentsEntry *segments[] = { &segment };
	Csi__V1__Topology topology = CSI__V1__TOPOLOGY__INIT;
	Csi__V1__NodeGetInfoResponse reply = CSI__V1__NODE_GET_INFO_RESPONSE__INIT;

	segment.key = (char *)TOPOLOGY_KEY;
	segment.value = (char *)service->node.id;
	topology.n_segments = 1;
	topology.segments = segments;
	reply.node_id = (char *)service->node.id;
	reply.max_volumes_per_node = MAX_VOLUMES_PER_NODE;
	reply.accessible_topology = &topology;
	return rpc_call_reply(call, &reply.base, e);
}

static void fill_usage(Csi__V1__VolumeUsage *message, Csi__V1__VolumeUsage__Unit unit,
		       uint64_t total, uint64_t used, uint64_t available)
{
	csi__v1__volume_usage__init(message);
	message->unit = unit;
	message->total = (int64_t)total;
	message->used = (int64_t)used;
	message->available = (int64_t)available;
}

int node_get_volume_stats(struct rpc_call *call, struct err *e)
{
	const Csi__V1__NodeGetVolumeStatsRequest *request =
		(const Csi__V1__NodeGetVolumeStatsRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__NodeGetVolumeStatsResponse reply = CSI__V1__NODE_GET_VOLUME_STATS_RESPONSE__INIT;
	Csi__V1__VolumeUsage bytes, inodes, *usages[] = { &bytes, &inodes };
	auto_record struct volume_record record = { 0 };
	struct condition_message condition;
	struct fs_usage usage;

	if (csi_is_s3(service, request->volume_id, NULL, 0))
		return node_s3_stats(call, e);
	if (volume_id_check(request->volume_id, e) < 0)
		return -1;
	if (!*request->volume_path)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume path is missing");
	if (csi_find_volume(service, request->volume_id, NULL, &record, e) < 0 ||
	    local_usage(&service->node, &record, request->volume_path, &usage, e) < 0)
		return -1;
	fill_usage(&bytes, CSI__V1__VOLUME_USAGE__UNIT__BYTES, usage.total_bytes, usage.used_bytes,
		   usage.free_bytes);
	fill_usage(&inodes, CSI__V1__VOLUME_USAGE__UNIT__INODES, usage.total_inodes,
		   usage.used_inodes, usage.free_inodes);
	condition_message_fill(&condition, service, &record);
	reply.n_usage = record.block ? 1 : 2;
	reply.usage = usages;
	reply.volume_condition = &condition.message;
	return rpc_call_reply(call, &reply.base, e);
}

int node_expand_volume(struct rpc_call *call, struct err *e)
{
	const Csi__V1__NodeExpandVolumeRequest *request =
		(const Csi__V1__NodeExpandVolumeRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__NodeExpandVolumeResponse reply = CSI__V1__NODE_EXPAND_VOLUME_RESPONSE__INIT;
	auto_record struct volume_record record = { 0 }, grown = { 0 };
	struct capability capability;
	auto_close int lock = -1;
	uint64_t bytes;

	if (csi_is_s3(service, request->volume_id, NULL, 0))
		return node_s3_expand(call, e);
	if (volume_id_check(request->volume_id, e) < 0)
		return -1;
	if (!*request->volume_path)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume path is missing");
	if (csi_lock_volume(service, request->volume_id, &lock, e) < 0 ||
	    csi_find_volume(service, request->volume_id, NULL, &record, e) < 0)
		return -1;
	if (request->volume_capability &&
	    (request_capability(request->volume_capability, BACKEND_LOCAL, &capability, e) < 0 ||
	     capability_fits(&capability, record.block, params_fs_type(&record.params), e) < 0))
		return -1;
	bytes = record.capacity_bytes;
	if (request->capacity_range &&
	    size_of_grown(request->capacity_range, &record, &bytes, e) < 0)
		return -1;
	if (bytes > record.capacity_bytes &&
	    (local_grow_image(&service->node, &record, bytes, &grown, e) < 0 ||
	     store_put(service->store, &grown, e) < 0))
		return -1;
	if (local_node_expand(&service->node, &record, request->volume_path, &bytes, e) < 0)
		return -1;
	reply.capacity_bytes = (int64_t)bytes;
	return rpc_call_reply(call, &reply.base, e);
}
