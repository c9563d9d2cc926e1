/* CreateVolume. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "csi/reply.h"
#include "csi/request.h"
#include "csi/service.h"
#include "csi/size.h"
#include "rpc/call.h"

typedef Csi__V1__CreateVolumeRequest Request;

/* All capabilities must agree on one kind of volume; the file system goes into the parameters. */
static int take_capabilities(const Request *request, struct volume_record *wanted, struct err *e)
{
	enum backend backend = params_backend(&wanted->params);
	const char *fs_type = "";

	if (request->n_volume_capabilities == 0)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume capabilities are missing");
	for (size_t i = 0; i < request->n_volume_capabilities; i++) {
		struct capability capability;

		if (request_capability(request->volume_capabilities[i], backend, &capability, e) <
		    0)
			return -1;
		if (i > 0 && capability.block != wanted->block)
			return err_set(
				e, ERR_INVALID_ARGUMENT,
				"a volume is either for mounting or a raw block device, not both");
		wanted->block = capability.block;
		if (!*capability.fs_type)
			continue;
		if (*fs_type && strcmp(fs_type, capability.fs_type) != 0)
			return err_set(e, ERR_INVALID_ARGUMENT,
				       "the capabilities ask for two file systems, '%s' and '%s'",
				       fs_type, capability.fs_type);
		fs_type = capability.fs_type;
	}
	if (!*fs_type)
		return 0;
	const char *of_class = request_map_value((void *const *)request->parameters,
						 request->n_parameters, "fsType");
	if (of_class && strcmp(of_class, fs_type) != 0)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "the StorageClass says fsType '%s', the capability '%s'", of_class,
			       fs_type);
	params_set(&wanted->params, PARAM_FS_TYPE, fs_type);
	return 0;
}

static bool topology_is_here(const Csi__V1__Topology *topology, const struct node *node)
{
	for (size_t i = 0; i < topology->n_segments; i++)
		if (strcmp(topology->segments[i]->key, TOPOLOGY_KEY) == 0)
			return strcmp(topology->segments[i]->value, node->id) == 0;
	return false;
}

/* The directory store knows one node: this one. */
static int check_topology(const Csi__V1__TopologyRequirement *requirement, const struct node *node,
			  struct err *e)
{
	if (!requirement || (requirement->n_requisite == 0 && requirement->n_preferred == 0))
		return 0;
	for (size_t i = 0; i < requirement->n_requisite; i++)
		if (topology_is_here(requirement->requisite[i], node))
			return 0;
	for (size_t i = 0; requirement->n_requisite == 0 && i < requirement->n_preferred; i++)
		if (topology_is_here(requirement->preferred[i], node))
			return 0;
	return err_set(
		e, ERR_RESOURCE_EXHAUSTED,
		"the volume must lie on another node, and this controller serves node '%s' only",
		node->id);
}

static int take_request(const Request *request, const struct csi_service *service,
			struct volume_record *wanted, struct err *e)
{
	struct text_pair *pairs = NULL;
	size_t count;
	time_t now = time(NULL);
	struct tm utc;

	if (volume_id_from_name(request->name, wanted->id, e) < 0)
		return -1;
	if (request->volume_content_source)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "volume '%s': snapshots and clones are not supported",
			       request->name);
	if (request->n_mutable_parameters)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "volume '%s': mutable parameters are not supported", request->name);
	if (request_pairs((void *const *)request->parameters, request->n_parameters, &pairs, &count,
			  e) < 0)
		return -1;
	int rc = params_parse(pairs, count, &wanted->params, e);
	free(pairs);
	if (rc < 0 || take_capabilities(request, wanted, e) < 0)
		return -1;
	if (params_backend(&wanted->params) == BACKEND_S3)
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"storage-backend 's3' is not part of this version of the driver: use "
			"'local'");
	if (size_of_new(request->capacity_range, wanted, &wanted->capacity_bytes, e) < 0 ||
	    local_path_check(&service->node, wanted->params.value[PARAM_LOCAL_PATH], e) < 0 ||
	    check_topology(request->accessibility_requirements, &service->node, e) < 0)
		return -1;

	snprintf(wanted->name, sizeof(wanted->name), "%s", request->name);
	snprintf(wanted->node, sizeof(wanted->node), "%s", service->node.id);
	wanted->data_offset_bytes = LUKS_HEADER_BYTES;
	gmtime_r(&now, &utc);
	strftime(wanted->created, sizeof(wanted->created), "%Y-%m-%dT%H:%M:%SZ", &utc);
	return 0;
}

/* Whether the volume that exists is the one that is asked for (CSI: idempotency by name). */
static int check_existing(const Request *request, const struct volume_record *existing,
			  const struct volume_record *wanted, struct err *e)
{
	const char *difference = params_difference(&existing->params, &wanted->params);

	if (strcmp(existing->name, wanted->name) != 0)
		difference = "name";
	if (!difference && existing->block != wanted->block)
		difference = "volumeMode";
	if (difference)
		return err_set(e, ERR_ALREADY_EXISTS, "volume '%s' exists with another '%s'",
			       wanted->id, difference);
	if (!size_fits(request->capacity_range, existing))
		return err_set(e, ERR_ALREADY_EXISTS,
			       "volume '%s' exists with %" PRIu64
			       " bytes, which is not the size that is asked for",
			       wanted->id, existing->capacity_bytes);
	return 0;
}

/* *ret_record is the record as it was found or is now; *ret_known: the store had one. */
static int find_or_announce(const struct csi_service *service, const Request *request,
			    const struct volume_record *wanted, struct volume_record *ret_record,
			    bool *ret_known, struct err *e)
{
	auto_record struct volume_record existing = { 0 };
	uint64_t free_bytes;

	*ret_known = store_get(service->store, wanted->id, &existing, e) == 0;
	if (!*ret_known && e->code != ERR_NOT_FOUND)
		return -1;
	if (*ret_known && existing.state != VOLUME_DELETING) {
		if (check_existing(request, &existing, wanted, e) < 0)
			return -1;
		volume_record_copy(&existing, ret_record);
		return 0;
	}
	if (local_free_bytes(&service->node, wanted->params.value[PARAM_LOCAL_PATH], &free_bytes,
			     e) < 0)
		return -1;
	if (wanted->capacity_bytes > free_bytes)
		return err_set(e, ERR_RESOURCE_EXHAUSTED,
			       "no space for volume '%s' in '%s' on node '%s': %" PRIu64
			       " bytes are asked for, %" PRIu64 " can be had",
			       wanted->id, wanted->params.value[PARAM_LOCAL_PATH], service->node.id,
			       wanted->capacity_bytes, free_bytes);
	/* The store first: what a crash leaves behind is then known, and found by the next call. */
	if (store_put(service->store, wanted, e) < 0)
		return -1;
	volume_record_copy(wanted, ret_record);
	return 0;
}

int controller_create_volume(struct rpc_call *call, struct err *e)
{
	const Request *request = (const Request *)call->request;
	struct csi_service *service = call->service;
	auto_record struct volume_record wanted = { 0 }, announced = { 0 }, made = { 0 };
	Csi__V1__CreateVolumeResponse reply = CSI__V1__CREATE_VOLUME_RESPONSE__INIT;
	struct volume_message volume;
	auto_close int lock = -1;
	struct err ignored;
	bool known;

	if (take_request(request, service, &wanted, e) < 0 ||
	    csi_lock_volume(service, wanted.id, &lock, e) < 0 ||
	    find_or_announce(service, request, &wanted, &announced, &known, e) < 0)
		return -1;
	if (local_create(&service->node, &announced, &made, e) < 0) {
		if (!known && store_remove(service->store, wanted.id, &ignored) < 0)
			log_warn("cannot take back the record of a failed create",
				 KV("volume", wanted.id), KV("error", ignored.msg));
		return -1;
	}
	/* Data of this name may have outlived a lost store: then its own record counts. */
	if (check_existing(request, &made, &wanted, e) < 0)
		return -1;
	if (made.capacity_bytes != announced.capacity_bytes || made.state != announced.state)
		if (store_put(service->store, &made, e) < 0)
			return -1;
	volume_message_fill(&volume, &made);
	reply.volume = &volume.volume;
	return rpc_call_reply(call, &reply.base, e);
}
