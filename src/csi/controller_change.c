/* DeleteVolume and ControllerExpandVolume. */
#include "base/log.h"
#include "csi/request.h"
#include "csi/s3.h"
#include "csi/service.h"
#include "csi/size.h"
#include "rpc/call.h"

/* On a full disk the mark cannot be written, and deleting is what may make room. */
static int mark(const struct csi_service *service, struct volume_record *record,
		enum volume_state state, struct err *e)
{
	record->state = state;
	if (store_put(service->store, record, e) == 0)
		return 0;
	if (e->code != ERR_RESOURCE_EXHAUSTED)
		return -1;
	log_warn("no space in --state-dir to write down that a volume is being deleted: going on",
		 KV("volume", record->id));
	return 0;
}

/*
 * A folder that is missing may be on a disk that is not mounted. It was deleted only where the
 * store says that its data are gone, or that there never were any.
 */
static int begin_deletion(const struct csi_service *service, struct volume_record *record,
			  bool *ret_present, struct err *e)
{
	const char *local_path = record->params.value[PARAM_LOCAL_PATH];

	if (local_delete_check(&service->node, local_path, record->id, ret_present, e) < 0)
		return -1;
	if (record->state == VOLUME_CREATING || record->state == VOLUME_RESERVED ||
	    record->state == VOLUME_ERASED)
		return 0;
	if (!*ret_present)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the data of volume '%s' cannot be found in '%s' on node '%s', so "
			"nothing can be destroyed: is the disk of local-path mounted? If the "
			"data are lost, `lcw volume forget %s` removes what is known of it",
			record->id, local_path, service->node.id, record->id);
	return record->state == VOLUME_DELETING ? 0 : mark(service, record, VOLUME_DELETING, e);
}

/* The data, the mark that they are gone, the folder, the store's record: each step repeatable. */
int csi_delete_local(const struct csi_service *service, struct volume_record *record, struct err *e)
{
	const char *local_path = record->params.value[PARAM_LOCAL_PATH];
	bool present;

	if (begin_deletion(service, record, &present, e) < 0 ||
	    (present && local_delete_data(&service->node, local_path, record->id, e) < 0) ||
	    (record->state == VOLUME_DELETING && mark(service, record, VOLUME_ERASED, e) < 0) ||
	    local_delete(&service->node, local_path, record->id, e) < 0)
		return -1;
	return store_remove(service->store, record->id, e);
}

int controller_delete_volume(struct rpc_call *call, struct err *e)
{
	const Csi__V1__DeleteVolumeRequest *request =
		(const Csi__V1__DeleteVolumeRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__DeleteVolumeResponse reply = CSI__V1__DELETE_VOLUME_RESPONSE__INIT;
	auto_record struct volume_record record = { 0 };
	auto_close int lock = -1;
	const char *id = request->volume_id;

	if (volume_id_check(id, e) < 0 || csi_lock_volume(service, id, &lock, e) < 0)
		return -1;
	if (csi_find_volume(service, id, NULL, &record, e) < 0)
		return e->code == ERR_NOT_FOUND ? rpc_call_reply(call, &reply.base, e) : -1;
	if (params_backend(&record.params) == BACKEND_S3)
		return csi_s3_delete(call, &record, e) < 0 ? -1
							   : rpc_call_reply(call, &reply.base, e);
	if (csi_delete_local(service, &record, e) < 0)
		return -1;
	csi_forget_lock(service, id);
	return rpc_call_reply(call, &reply.base, e);
}

int controller_expand_volume(struct rpc_call *call, struct err *e)
{
	const Csi__V1__ControllerExpandVolumeRequest *request =
		(const Csi__V1__ControllerExpandVolumeRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__ControllerExpandVolumeResponse reply =
		CSI__V1__CONTROLLER_EXPAND_VOLUME_RESPONSE__INIT;
	auto_record struct volume_record record = { 0 }, grown = { 0 };
	const char *id = request->volume_id;
	struct capability capability;
	auto_close int lock = -1;
	uint64_t bytes;

	if (volume_id_check(id, e) < 0)
		return -1;
	if (!request->capacity_range)
		return err_set(e, ERR_INVALID_ARGUMENT, "capacity range is missing");
	if (csi_lock_volume(service, id, &lock, e) < 0 ||
	    store_get(service->store, id, &record, e) < 0)
		return -1;
	if (request->volume_capability &&
	    (request_capability(request->volume_capability, params_backend(&record.params),
				&capability, e) < 0 ||
	     capability_fits(&capability, record.block, params_fs_type(&record.params), e) < 0))
		return -1;
	if (size_of_grown(request->capacity_range, &record, &bytes, e) < 0)
		return -1;
	if (params_backend(&record.params) == BACKEND_S3) {
		if (csi_s3_expand(service, &record, bytes, e) < 0)
			return -1;
		reply.capacity_bytes = (int64_t)record.capacity_bytes;
		return rpc_call_reply(call, &reply.base, e);
	}
	/* Beside the data may stand more than the store knows, after a crash; it counts. */
	if (local_grow_image(&service->node, &record, bytes, &grown, e) < 0 ||
	    store_put(service->store, &grown, e) < 0)
		return -1;
	reply.capacity_bytes = (int64_t)grown.capacity_bytes;
	reply.node_expansion_required = 1;
	return rpc_call_reply(call, &reply.base, e);
}
