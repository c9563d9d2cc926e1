/* The controller's questions: capabilities, capacity, volumes. They change nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "csi/place.h"
#include "csi/reply.h"
#include "csi/request.h"
#include "csi/service.h"
#include "csi/size.h"
#include "rpc/call.h"

int controller_get_capabilities(struct rpc_call *call, struct err *e)
{
	static const Csi__V1__ControllerServiceCapability__RPC__Type offered[] = {
		CSI__V1__CONTROLLER_SERVICE_CAPABILITY__RPC__TYPE__CREATE_DELETE_VOLUME,
		CSI__V1__CONTROLLER_SERVICE_CAPABILITY__RPC__TYPE__LIST_VOLUMES,
		CSI__V1__CONTROLLER_SERVICE_CAPABILITY__RPC__TYPE__GET_CAPACITY,
		CSI__V1__CONTROLLER_SERVICE_CAPABILITY__RPC__TYPE__EXPAND_VOLUME,
		CSI__V1__CONTROLLER_SERVICE_CAPABILITY__RPC__TYPE__VOLUME_CONDITION,
		CSI__V1__CONTROLLER_SERVICE_CAPABILITY__RPC__TYPE__GET_VOLUME,
		CSI__V1__CONTROLLER_SERVICE_CAPABILITY__RPC__TYPE__SINGLE_NODE_MULTI_WRITER,
	};
	Csi__V1__ControllerServiceCapability__RPC rpc[ARRAY_LEN(offered)];
	Csi__V1__ControllerServiceCapability capability[ARRAY_LEN(offered)];
	Csi__V1__ControllerServiceCapability *list[ARRAY_LEN(offered)];
	Csi__V1__ControllerGetCapabilitiesResponse reply =
		CSI__V1__CONTROLLER_GET_CAPABILITIES_RESPONSE__INIT;

	for (size_t i = 0; i < ARRAY_LEN(offered); i++) {
		csi__v1__controller_service_capability__rpc__init(&rpc[i]);
		rpc[i].type = offered[i];
		csi__v1__controller_service_capability__init(&capability[i]);
		capability[i].type_case = CSI__V1__CONTROLLER_SERVICE_CAPABILITY__TYPE_RPC;
		capability[i].rpc = &rpc[i];
		list[i] = &capability[i];
	}
	reply.n_capabilities = ARRAY_LEN(offered);
	reply.capabilities = list;
	return rpc_call_reply(call, &reply.base, e);
}

static bool differs(const char *key, struct err *e)
{
	err_set(e, ERR_INVALID_ARGUMENT, "the volume was created with another '%s'", key);
	return false;
}

/* What a class may leave to the capability, the Secret or a template, is what the volume has. */
static void take_the_rest(const Csi__V1__ValidateVolumeCapabilitiesRequest *request,
			  const struct volume_record *record, struct params *params)
{
	static const enum param open[] = { PARAM_FS_TYPE,	 PARAM_S3_BUCKET,
					   PARAM_S3_REGION,	 PARAM_S3_ENDPOINT,
					   PARAM_S3_PATH_PREFIX, PARAM_S3_FORCE_PATH_STYLE };
	void *const *entries = (void *const *)request->parameters;

	for (size_t i = 0; i < ARRAY_LEN(open); i++) {
		const char *key = param_rules[open[i]].key;
		const char *said = request_map_value(entries, request->n_parameters, key);

		if (!said && open[i] == PARAM_FS_TYPE)
			said = request_map_value(entries, request->n_parameters,
						 "csi.storage.k8s.io/fstype");
		if (!said || strstr(said, "${"))
			params_set(params, open[i], record->params.value[open[i]]);
	}
}

static bool same_parameters(const Csi__V1__ValidateVolumeCapabilitiesRequest *request,
			    const struct volume_record *record, struct err *e)
{
	void *const *entries = (void *const *)request->parameters;
	auto_params struct params params = { 0 };
	auto_free struct text_pair *pairs = NULL;
	size_t count;

	if (request->n_parameters == 0)
		return true;
	if (request_pairs(entries, request->n_parameters, &pairs, &count, e) < 0 ||
	    params_parse(pairs, count, &params, e) < 0)
		return false;
	take_the_rest(request, record, &params);
	const char *difference = params_difference(&params, &record->params);
	return difference ? differs(difference, e) : true;
}

/* Sidecars add keys of their own to a volume context; those that are ours must be the volume's. */
static bool same_context(const Csi__V1__ValidateVolumeCapabilitiesRequest *request,
			 const struct volume_record *record, struct err *e)
{
	void *const *entries = (void *const *)request->volume_context;

	for (int i = 0; i < PARAM_COUNT; i++) {
		const char *given =
			request_map_value(entries, request->n_volume_context, param_rules[i].key);
		const char *ours = record->params.value[i];

		if (given && (!ours || strcmp(given, ours) != 0))
			return differs(param_rules[i].key, e);
	}
	return true;
}

/* Whether everything that is asked for is supported, else why not (in e). */
static bool all_supported(const Csi__V1__ValidateVolumeCapabilitiesRequest *request,
			  const struct volume_record *record, struct err *e)
{
	struct capability capability;

	for (size_t i = 0; i < request->n_volume_capabilities; i++)
		if (request_capability(request->volume_capabilities[i],
				       params_backend(&record->params), &capability, e) < 0 ||
		    capability_fits(&capability, record->block, params_fs_type(&record->params),
				    e) < 0)
			return false;
	return same_parameters(request, record, e) && same_context(request, record, e);
}

int controller_validate_capabilities(struct rpc_call *call, struct err *e)
{
	const Csi__V1__ValidateVolumeCapabilitiesRequest *request =
		(const Csi__V1__ValidateVolumeCapabilitiesRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__ValidateVolumeCapabilitiesResponse__Confirmed confirmed =
		CSI__V1__VALIDATE_VOLUME_CAPABILITIES_RESPONSE__CONFIRMED__INIT;
	Csi__V1__ValidateVolumeCapabilitiesResponse reply =
		CSI__V1__VALIDATE_VOLUME_CAPABILITIES_RESPONSE__INIT;
	auto_record struct volume_record record = { 0 };
	struct err reason = { 0 };

	if (volume_id_check(request->volume_id, e) < 0)
		return -1;
	if (request->n_volume_capabilities == 0)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume capabilities are missing");
	if (service->place->find(service, request->volume_id, &record, e) < 0)
		return -1;
	if (all_supported(request, &record, &reason)) {
		confirmed.n_volume_capabilities = request->n_volume_capabilities;
		confirmed.volume_capabilities = request->volume_capabilities;
		confirmed.n_parameters = request->n_parameters;
		confirmed.parameters =
			(Csi__V1__ValidateVolumeCapabilitiesResponse__Confirmed__ParametersEntry **)
				request->parameters;
		confirmed.n_volume_context = request->n_volume_context;
		confirmed.volume_context =
			(Csi__V1__ValidateVolumeCapabilitiesResponse__Confirmed__VolumeContextEntry
				 **)request->volume_context;
		reply.confirmed = &confirmed;
	}
	reply.message = reason.msg;
	return rpc_call_reply(call, &reply.base, e);
}

int controller_get_volume(struct rpc_call *call, struct err *e)
{
	const Csi__V1__ControllerGetVolumeRequest *request =
		(const Csi__V1__ControllerGetVolumeRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__ControllerGetVolumeResponse__VolumeStatus status =
		CSI__V1__CONTROLLER_GET_VOLUME_RESPONSE__VOLUME_STATUS__INIT;
	Csi__V1__ControllerGetVolumeResponse reply = CSI__V1__CONTROLLER_GET_VOLUME_RESPONSE__INIT;
	auto_record struct volume_record record = { 0 };
	struct condition_message condition;
	struct volume_message volume;

	if (volume_id_check(request->volume_id, e) < 0 ||
	    service->place->find(service, request->volume_id, &record, e) < 0)
		return -1;
	volume_message_fill(&volume, &record);
	condition_message_fill(&condition, service, &record);
	status.volume_condition = &condition.message;
	reply.volume = &volume.volume;
	reply.status = &status;
	return rpc_call_reply(call, &reply.base, e);
}

static int look_for_room(const struct csi_service *service, const struct params *params,
			 const Csi__V1__Topology *topology, struct place_room *ret_room,
			 struct err *e)
{
	bool is_bound = topology && topology->n_segments > 0;
	const char *name = is_bound ? request_node(topology) : NULL;
	/* A segment that is not ours is nowhere. */
	bool is_ours = name && topology->n_segments == 1;
	const struct place_nodes nodes = { .is_bound = is_bound, .names = &name, .count = is_ours };

	if (params_backend(params) == BACKEND_LOCAL)
		return service->place->room(service, params, &nodes, ret_room, e);
	/* S3 has no end that we could see. */
	*ret_room = (struct place_room){ 0 };
	if (!is_bound || is_ours)
		*ret_room = (struct place_room){ INT64_MAX / 2, INT64_MAX / 2 };
	return 0;
}

/*
 * The scheduler asks for room before anybody calls CreateVolume. Of a class that is wrong it would
 * say "not enough free storage" for ever, and what is wrong with it nobody would read.
 */
static int let_create_say_it(struct rpc_call *call, struct err *e)
{
	Csi__V1__GetCapacityResponse reply = CSI__V1__GET_CAPACITY_RESPONSE__INIT;

	reply.available_capacity = INT64_MAX / 2;
	return rpc_call_reply(call, &reply.base, e);
}

int controller_get_capacity(struct rpc_call *call, struct err *e)
{
	const Csi__V1__GetCapacityRequest *request =
		(const Csi__V1__GetCapacityRequest *)call->request;
	struct csi_service *service = call->service;
	Csi__V1__GetCapacityResponse reply = CSI__V1__GET_CAPACITY_RESPONSE__INIT;
	Google__Protobuf__Int64Value largest = GOOGLE__PROTOBUF__INT64_VALUE__INIT;
	Google__Protobuf__Int64Value smallest = GOOGLE__PROTOBUF__INT64_VALUE__INIT;
	auto_record struct volume_record kind = { 0 };
	auto_free struct text_pair *pairs = NULL;
	struct capability capability;
	struct place_room room;
	size_t count;

	if (request_pairs((void *const *)request->parameters, request->n_parameters, &pairs, &count,
			  e) < 0)
		return -1;
	if (params_parse(pairs, count, &kind.params, e) < 0)
		return service->kube ? let_create_say_it(call, e) : -1;
	for (size_t i = 0; i < request->n_volume_capabilities; i++) {
		if (request_capability(request->volume_capabilities[i],
				       params_backend(&kind.params), &capability, e) < 0)
			return -1;
		kind.block = capability.block;
		if (*capability.fs_type)
			params_set(&kind.params, PARAM_FS_TYPE, capability.fs_type);
	}
	if (look_for_room(service, &kind.params, request->accessible_topology, &room, e) < 0)
		return -1;
	reply.available_capacity = (int64_t)room.total;
	largest.value = (int64_t)(room.largest < SIZE_LARGEST ? room.largest : SIZE_LARGEST);
	smallest.value = (int64_t)size_min(&kind);
	reply.maximum_volume_size = &largest;
	reply.minimum_volume_size = &smallest;
	return rpc_call_reply(call, &reply.base, e);
}
