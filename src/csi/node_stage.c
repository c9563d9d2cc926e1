/* NodeStageVolume and NodeUnstageVolume. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "csi/request.h"
#include "csi/s3.h"
#include "csi/local.h"
#include "engine/local_disk.h"
#include "rpc/call.h"
#include "volume/context.h"

typedef Csi__V1__NodeStageVolumeRequest Request;

static int params_of_context(const Request *request, struct params *ret_params, struct err *e)
{
	auto_free struct text_pair *pairs = NULL;
	size_t count;

	return request_pairs((void *const *)request->volume_context, request->n_volume_context,
			     &pairs, &count, e) < 0
		       ? -1
		       : context_parse(pairs, count, request->volume_id, ret_params, e);
}

/*
 * `lcw node adopt` has seen an image and not the class it was made with: what a PersistentVolume of
 * the Go driver says of a pod's use of it is better than the defaults that were written then.
 */
static void learn_from_context(const Request *request, struct params *params)
{
	auto_params struct params context = { 0 };
	struct err e = { 0 };

	if (params_of_context(request, &context, &e) < 0) {
		log_warn("what the PersistentVolume says is not understood, and passed over",
			 KV("volume", request->volume_id), KV("error", e.msg));
		return;
	}
	for (size_t i = 0; i < CONTEXT_OF_USE_COUNT; i++) {
		enum param which = context_of_use[i];

		if (request_map_value((void *const *)request->volume_context,
				      request->n_volume_context, param_rules[which].key))
			params_set(params, which, context.value[which]);
	}
}

/*
 * What is known of the volume before its folder is opened: the store's record, or, for a volume
 * of the Go driver or after the loss of the store, the volume context.
 */
static int find_params(const Request *request, const struct csi_service *service,
		       struct stage_request *stage, struct volume_record *known, struct err *e)
{
	if (store_get(service->store, request->volume_id, known, e) < 0)
		return e->code == ERR_NOT_FOUND ? params_of_context(request, &stage->params, e)
						: -1;
	params_copy(&known->params, &stage->params);
	stage->known = known;
	if (volume_is_going(known))
		return err_set(e, ERR_FAILED_PRECONDITION, "volume '%s' is being deleted",
			       known->id);
	if (known->adopted)
		learn_from_context(request, &stage->params);
	return 0;
}

static int check_node(const Request *request, const struct csi_service *service,
		      const struct volume_record *known, struct err *e)
{
	const char *holder = *known->id
				     ? known->node
				     : request_map_value((void *const *)request->volume_context,
							 request->n_volume_context, TOPOLOGY_KEY);

	if (holder && strcmp(holder, service->node.id) != 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the data of volume '%s' is on node '%s', this is node '%s'",
			       request->volume_id, holder, service->node.id);
	return 0;
}

static int find_passphrase(const struct rpc_call *call, const struct params *params,
			   const struct secret **ret_passphrase, struct err *e)
{
	const char *key = params->value[PARAM_PASSPHRASE_KEY];
	const struct secret *passphrase = rpc_call_secret(call, key);

	if (!passphrase)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "the node-stage Secret has no key '%s' (StorageClass parameter "
			       "'passphraseKey')",
			       key);
	if (secret_size(passphrase) == 0)
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"key '%s' of the node-stage Secret is empty: no volume is encrypted with "
			"an empty passphrase",
			key);
	*ret_passphrase = passphrase;
	return 0;
}

/* The passphrase that this one replaces: '{key}-previous', absent or empty outside of a change. */
static const struct secret *find_previous(const struct rpc_call *call, const struct params *params)
{
	auto_free char *key = xasprintf("%s-previous", params->value[PARAM_PASSPHRASE_KEY]);
	const struct secret *previous = rpc_call_secret(call, key);

	return previous && secret_size(previous) ? previous : NULL;
}

int node_stage_volume(struct rpc_call *call, struct err *e)
{
	const Request *request = (const Request *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__NodeStageVolumeResponse reply = CSI__V1__NODE_STAGE_VOLUME_RESPONSE__INIT;
	struct stage_request stage = { .id = request->volume_id,
				       .staging_path = request->staging_target_path };
	auto_record struct volume_record known = { 0 }, now = { 0 };
	struct target target;
	auto_close int lock = -1;

	if (csi_is_s3(service, request->volume_id, (void *const *)request->volume_context,
		      request->n_volume_context))
		return node_s3_stage(call, e);
	if (volume_id_check(request->volume_id, e) < 0 ||
	    target_parse(&service->node.kubelet, request->staging_target_path, "staging path",
			 &target, e) < 0 ||
	    request_capability_of_node(request->volume_capability, BACKEND_LOCAL, &stage.capability,
				       e) < 0 ||
	    csi_lock_volume(service, request->volume_id, &lock, e) < 0)
		return -1;
	int rc = find_params(request, service, &stage, &known, e);
	if (rc == 0)
		rc = check_node(request, service, &known, e);
	if (rc == 0)
		rc = local_path_check(&service->node, stage.params.value[PARAM_LOCAL_PATH],
				      request->volume_id, e);
	if (rc == 0)
		rc = find_passphrase(call, &stage.params, &stage.passphrase, e);
	if (rc == 0)
		stage.previous = find_previous(call, &stage.params);
	if (rc == 0)
		rc = local_stage(&service->node, stage.params.value[PARAM_LOCAL_PATH], &stage, &now,
				 e);
	if (rc == 0)
		local_disk_remember(&service->node, stage.params.value[PARAM_LOCAL_PATH]);
	params_done(&stage.params);
	if (rc < 0 || csi_mirror_record(service, &known, &now, e) < 0)
		return -1;
	return rpc_call_reply(call, &reply.base, e);
}

int node_unstage_volume(struct rpc_call *call, struct err *e)
{
	const Csi__V1__NodeUnstageVolumeRequest *request =
		(const Csi__V1__NodeUnstageVolumeRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__NodeUnstageVolumeResponse reply = CSI__V1__NODE_UNSTAGE_VOLUME_RESPONSE__INIT;
	struct target target;
	auto_close int lock = -1;

	if (csi_is_s3(service, request->volume_id, NULL, 0))
		return node_s3_unstage(call, e);
	if (volume_id_check(request->volume_id, e) < 0 ||
	    target_parse(&service->node.kubelet, request->staging_target_path, "staging path",
			 &target, e) < 0 ||
	    csi_lock_volume(service, request->volume_id, &lock, e) < 0 ||
	    local_unstage(&service->node, request->volume_id, request->staging_target_path, e) < 0)
		return -1;
	return rpc_call_reply(call, &reply.base, e);
}
