/* The Node service's calls for volumes in S3. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "csi/local.h"
#include "csi/reply.h"
#include "csi/request.h"
#include "csi/s3.h"
#include "csi/size.h"
#include "store/store_kube.h"
#include "volume/context.h"

/* A node whose store does not know the volume cannot know its size either. */
#define UNKNOWN_BYTES (1ull << 50)

typedef Csi__V1__NodeStageVolumeRequest StageRequest;

/* What CreateVolume froze into the volume context is enough to stage, but for the size. */
static int record_of_context(const StageRequest *request, struct volume_record *ret_record,
			     struct err *e)
{
	auto_free struct text_pair *pairs = NULL;
	size_t count;

	if (request_pairs((void *const *)request->volume_context, request->n_volume_context, &pairs,
			  &count, e) < 0 ||
	    context_parse(pairs, count, request->volume_id, &ret_record->params, e) < 0)
		return -1;
	strncpy(ret_record->id, request->volume_id, sizeof(ret_record->id) - 1);
	strncpy(ret_record->name, request->volume_id, sizeof(ret_record->name) - 1);
	ret_record->capacity_bytes = UNKNOWN_BYTES;
	clock_utc_text(ret_record->created);
	return 0;
}

/*
 * Where the cluster answers it knows better: the size, and whether the volume was ever staged, on
 * any node. `ret_why` says why it does not answer; ERR_OK when it does.
 */
static void ask_cluster(const struct csi_service *service, struct volume_record *record,
			struct err *ret_why)
{
	struct luksvolume volume = { 0 };

	if (!service->kube || store_kube_look(service->kube, record->id, &volume, ret_why) < 0)
		return;
	ret_why->code = ERR_OK; /* of a try before */
	record->capacity_bytes = volume.record.capacity_bytes;
	if (volume.record.state == VOLUME_FORMATTED || volume_is_going(&volume.record))
		record->state = volume.record.state;
	memcpy(record->name, volume.record.name, sizeof(record->name));
	memcpy(record->claim, volume.record.claim, sizeof(record->claim));
	memcpy(record->created, volume.record.created, sizeof(record->created));
	volume_record_done(&volume.record);
}

static int find_record(const StageRequest *request, const struct csi_service *service,
		       struct volume_record *ret_known, struct volume_record *ret_record,
		       struct err *ret_why, struct err *e)
{
	if (store_get(service->store, request->volume_id, ret_known, e) == 0)
		volume_record_copy(ret_known, ret_record);
	else if (e->code != ERR_NOT_FOUND || record_of_context(request, ret_record, e) < 0)
		return -1;
	ask_cluster(service, ret_record, ret_why);
	return 0;
}

/* DeleteVolume purges a prefix only when the record says that something was written there. */
static void note_failed_stage(struct csi_service *service, const struct volume_record *known,
			      const struct volume_record *now)
{
	struct err e = { 0 };

	if (*now->id && csi_mirror_record(service, known, now, &e) < 0)
		log_warn("cannot note that a failed stage has written into the bucket",
			 KV("volume", now->id), KV("error", e.msg));
}

int node_s3_stage(struct rpc_call *call, struct err *e)
{
	const StageRequest *request = (const StageRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__NodeStageVolumeResponse reply = CSI__V1__NODE_STAGE_VOLUME_RESPONSE__INIT;
	auto_record struct volume_record known = { 0 }, record = { 0 }, now = { 0 };
	struct s3_stage_request stage = { .staging_path = request->staging_target_path };
	auto_s3_keys struct csi_s3_keys keys = { 0 };
	struct err why = { 0 };
	struct target target;
	auto_close int lock = -1;

	if (target_parse(&service->node.kubelet, request->staging_target_path, "staging path",
			 &target, e) < 0 ||
	    request_capability_of_node(request->volume_capability, BACKEND_S3, &stage.capability,
				       e) < 0 ||
	    csi_lock_volume(service, request->volume_id, &lock, e) < 0 ||
	    find_record(request, service, &known, &record, &why, e) < 0)
		return -1;
	stage.record = &record;
	if (why.code != ERR_OK && why.code != ERR_NOT_FOUND)
		stage.unknown = why.msg;
	if (csi_s3_keys_find(call, &record.params, &keys, e) < 0)
		return -1;
	stage.secrets = keys.secrets;
	if (s3_stage(&service->node, &stage, &now, e) < 0) {
		note_failed_stage(service, &known, &now);
		return -1;
	}
	if (csi_mirror_record(service, &known, &now, e) < 0)
		return -1;
	return rpc_call_reply(call, &reply.base, e);
}

int node_s3_unstage(struct rpc_call *call, struct err *e)
{
	const Csi__V1__NodeUnstageVolumeRequest *request =
		(const Csi__V1__NodeUnstageVolumeRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__NodeUnstageVolumeResponse reply = CSI__V1__NODE_UNSTAGE_VOLUME_RESPONSE__INIT;
	auto_record struct volume_record record = { 0 }, now = { 0 };
	struct target target;
	auto_close int lock = -1;

	if (target_parse(&service->node.kubelet, request->staging_target_path, "staging path",
			 &target, e) < 0 ||
	    csi_lock_volume(service, request->volume_id, &lock, e) < 0 ||
	    store_get(service->store, request->volume_id, &record, e) < 0 ||
	    s3_unstage(&service->node, &record, request->staging_target_path, call->deadline_ms,
		       &now, e) < 0 ||
	    csi_mirror_record(service, &record, &now, e) < 0)
		return -1;
	return rpc_call_reply(call, &reply.base, e);
}

int node_s3_stats(struct rpc_call *call, struct err *e)
{
	const Csi__V1__NodeGetVolumeStatsRequest *request =
		(const Csi__V1__NodeGetVolumeStatsRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__NodeGetVolumeStatsResponse reply = CSI__V1__NODE_GET_VOLUME_STATS_RESPONSE__INIT;
	Csi__V1__VolumeUsage bytes = CSI__V1__VOLUME_USAGE__INIT, *usages[] = { &bytes };
	auto_record struct volume_record record = { 0 };
	struct condition_message condition;
	struct fs_usage usage;

	if (!*request->volume_path)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume path is missing");
	if (store_get(service->store, request->volume_id, &record, e) < 0 ||
	    s3_usage(&service->node, &record, request->volume_path, &usage, e) < 0)
		return -1;
	/* S3 has no inodes to count. */
	bytes.unit = CSI__V1__VOLUME_USAGE__UNIT__BYTES;
	bytes.total = (int64_t)usage.total_bytes;
	bytes.used = (int64_t)usage.used_bytes;
	bytes.available = (int64_t)usage.free_bytes;
	condition_message_fill(&condition, service, &record);
	reply.n_usage = 1;
	reply.usage = usages;
	reply.volume_condition = &condition.message;
	return rpc_call_reply(call, &reply.base, e);
}

int node_s3_expand(struct rpc_call *call, struct err *e)
{
	const Csi__V1__NodeExpandVolumeRequest *request =
		(const Csi__V1__NodeExpandVolumeRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__NodeExpandVolumeResponse reply = CSI__V1__NODE_EXPAND_VOLUME_RESPONSE__INIT;
	auto_record struct volume_record record = { 0 };
	struct capability capability;
	struct fs_usage ignored;
	auto_close int lock = -1;
	uint64_t bytes;

	if (!*request->volume_path)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume path is missing");
	if ((request->volume_capability &&
	     request_capability(request->volume_capability, BACKEND_S3, &capability, e) < 0) ||
	    csi_lock_volume(service, request->volume_id, &lock, e) < 0 ||
	    store_get(service->store, request->volume_id, &record, e) < 0 ||
	    s3_usage(&service->node, &record, request->volume_path, &ignored, e) < 0)
		return -1;
	bytes = record.capacity_bytes;
	if ((request->capacity_range &&
	     size_of_grown(request->capacity_range, &record, &bytes, e) < 0) ||
	    csi_s3_expand(service, &record, bytes, e) < 0)
		return -1;
	reply.capacity_bytes = (int64_t)record.capacity_bytes;
	return rpc_call_reply(call, &reply.base, e);
}
