/* DeleteVolume and ControllerExpandVolume. */
#include "base/log.h"
#include "csi/place.h"
#include "csi/request.h"
#include "csi/s3.h"
#include "csi/service.h"
#include "csi/size.h"
#include "rpc/call.h"

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
	if (service->place->find(service, id, &record, e) < 0) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		if (rpc_call_secret(call, "s3-access-key-id"))
			log_info("a volume that the driver does not know is to be deleted: if the "
				 "Go driver made it in S3, what it wrote stays in the bucket",
				 KV("volume", id));
		return rpc_call_reply(call, &reply.base, e);
	}
	if (params_backend(&record.params) == BACKEND_S3)
		return csi_s3_delete(call, &record, e) < 0 ? -1
							   : rpc_call_reply(call, &reply.base, e);
	if (service->place->remove(service, &record, call->deadline_ms, e) < 0)
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
	    service->place->find(service, id, &record, e) < 0)
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
	if (service->place->grow(service, &record, bytes, call->deadline_ms, &grown, e) < 0)
		return -1;
	reply.capacity_bytes = (int64_t)grown.capacity_bytes;
	reply.node_expansion_required = 1;
	return rpc_call_reply(call, &reply.base, e);
}
