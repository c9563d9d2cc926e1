/* NodePublishVolume and NodeUnpublishVolume. */
#include "base/parse.h"
#include "csi/request.h"
#include "csi/s3.h"
#include "csi/local.h"
#include "rpc/call.h"

/* CSI's code for a call that knows of no staging path. Neither path may lie in the other: what is
 * made for one would be made inside the volume, or hidden by it. */
static int check_staging(const struct kubelet_dir *kubelet, const struct target *target,
			 const char *path, struct err *e)
{
	struct target staging;

	if (!*path)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "staging path is missing: the volume must be staged first");
	if (target_parse(kubelet, path, "staging path", &staging, e) < 0)
		return -1;
	if (path_is_within(staging.path, target->path) ||
	    path_is_within(target->path, staging.path))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "target path '%.200s' and staging path '%.200s' lie in each other",
			       target->path, staging.path);
	return 0;
}

int node_publish_volume(struct rpc_call *call, struct err *e)
{
	const Csi__V1__NodePublishVolumeRequest *request =
		(const Csi__V1__NodePublishVolumeRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__NodePublishVolumeResponse reply = CSI__V1__NODE_PUBLISH_VOLUME_RESPONSE__INIT;
	struct publish_request publish = { .staging_path = request->staging_target_path,
					   .target_path = request->target_path,
					   .read_only = request->readonly };
	auto_record struct volume_record record = { 0 };
	bool s3 = csi_is_s3(service, request->volume_id, NULL, 0);
	struct target target;
	auto_close int lock = -1;

	if (volume_id_check(request->volume_id, e) < 0 ||
	    target_parse_for_pod(&service->node.kubelet, request->target_path, &target, e) < 0 ||
	    request_capability_of_node(request->volume_capability, s3 ? BACKEND_S3 : BACKEND_LOCAL,
				       &publish.capability, e) < 0 ||
	    check_staging(&service->node.kubelet, &target, request->staging_target_path, e) < 0 ||
	    csi_lock_volume(service, request->volume_id, &lock, e) < 0 ||
	    csi_find_volume(service, request->volume_id,
			    request_map_value((void *const *)request->volume_context,
					      request->n_volume_context, "local-path"),
			    &record, e) < 0)
		return -1;
	publish.record = &record;
	int rc = s3 ? s3_publish(&service->node, &publish, e)
		    : local_publish(&service->node, &publish, e);
	return rc < 0 ? -1 : rpc_call_reply(call, &reply.base, e);
}

int node_unpublish_volume(struct rpc_call *call, struct err *e)
{
	const Csi__V1__NodeUnpublishVolumeRequest *request =
		(const Csi__V1__NodeUnpublishVolumeRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__NodeUnpublishVolumeResponse reply = CSI__V1__NODE_UNPUBLISH_VOLUME_RESPONSE__INIT;
	const char *id = request->volume_id, *path = request->target_path;
	bool s3 = csi_is_s3(service, id, NULL, 0);
	struct target target;
	auto_close int lock = -1;

	if (volume_id_check(id, e) < 0 ||
	    target_parse_for_pod(&service->node.kubelet, path, &target, e) < 0 ||
	    csi_lock_volume(service, id, &lock, e) < 0)
		return -1;
	int rc = s3 ? s3_unpublish(&service->node, id, path, e)
		    : local_unpublish(&service->node, id, path, e);
	return rc < 0 ? -1 : rpc_call_reply(call, &reply.base, e);
}
