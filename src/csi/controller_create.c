/* CreateVolume. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "csi/reply.h"
#include "csi/request.h"
#include "csi/s3.h"
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

/* Where the volume can lie: on this node's disk, or in its bucket, which has no node. */
static int take_place(const struct rpc_call *call, const Request *request,
		      struct volume_record *wanted, struct err *e)
{
	const struct csi_service *service = call->service;

	if (params_backend(&wanted->params) == BACKEND_S3)
		return csi_s3_complete(call, request, &wanted->params, e);
	if (local_path_check(&service->node, wanted->params.value[PARAM_LOCAL_PATH], wanted->id,
			     e) < 0 ||
	    check_topology(request->accessibility_requirements, &service->node, e) < 0)
		return -1;
	snprintf(wanted->node, sizeof(wanted->node), "%s", service->node.id);
	wanted->data_offset_bytes = LUKS_HEADER_BYTES;
	return 0;
}

static int take_request(const struct rpc_call *call, const Request *request,
			struct volume_record *wanted, struct err *e)
{
	struct text_pair *pairs = NULL;
	size_t count;

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
	if (size_of_new(request->capacity_range, wanted, &wanted->capacity_bytes, e) < 0 ||
	    take_place(call, request, wanted, e) < 0)
		return -1;

	snprintf(wanted->name, sizeof(wanted->name), "%s", request->name);
	clock_utc_text(wanted->created);
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

/*
 * The store may know the volume: then it must be the same. One whose making came to its end must
 * have its record beside the data still: anything else would make a second, empty one, where the
 * disk that holds the first is not mounted.
 */
static int check_known(const struct csi_service *service, const Request *request,
		       const struct volume_record *known, const struct volume_record *wanted,
		       struct err *e)
{
	auto_record struct volume_record beside = { 0 };

	if (check_existing(request, known, wanted, e) < 0)
		return -1;
	if (known->state == VOLUME_CREATING)
		return 0;
	if (local_load(&service->node, known->params.value[PARAM_LOCAL_PATH], known->id, &beside,
		       e) == 0)
		return local_check_known(known, &beside, e);
	if (e->code == ERR_NOT_FOUND)
		e->code = ERR_FAILED_PRECONDITION;
	return err_wrap(e,
			"volume '%s' was made, but cannot be found (is the disk of local-path "
			"mounted?)",
			known->id);
}

/*
 * The store first: what a crash leaves behind is then known, and found by the next call. Data that
 * outlived a lost store are known by their own record: nothing else is written about them.
 */
static int announce(const struct csi_service *service, const struct volume_record *wanted,
		    struct err *e)
{
	const char *local_path = wanted->params.value[PARAM_LOCAL_PATH];
	auto_record struct volume_record beside = { 0 }, begun = { 0 };
	uint64_t free_bytes;

	if (local_load(&service->node, local_path, wanted->id, &beside, e) == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	if (local_free_bytes(&service->node, local_path, &free_bytes, e) < 0)
		return -1;
	if (wanted->capacity_bytes > free_bytes)
		return err_set(e, ERR_RESOURCE_EXHAUSTED,
			       "no space for volume '%s' in '%s' on node '%s': %" PRIu64
			       " bytes are asked for, %" PRIu64 " can be had",
			       wanted->id, local_path, service->node.id, wanted->capacity_bytes,
			       free_bytes);
	volume_record_copy(wanted, &begun);
	begun.state = VOLUME_CREATING;
	return store_put(service->store, &begun, e);
}

/* A volume in S3 has no record but the store's. */
static int ensure_s3(const struct rpc_call *call, const Request *request,
		     const struct volume_record *known, const struct volume_record *wanted,
		     struct volume_record *ret_made, struct err *e)
{
	if (known && known->state != VOLUME_DELETING &&
	    check_existing(request, known, wanted, e) < 0)
		return -1;
	return csi_s3_create(call, known, wanted, ret_made, e);
}

/* The record beside the data, and the store's mirror of it, as one. */
static int ensure_volume(const struct rpc_call *call, const Request *request,
			 const struct volume_record *wanted, struct volume_record *ret_made,
			 struct err *e)
{
	const struct csi_service *service = call->service;
	auto_record struct volume_record known = { 0 };
	bool is_known = store_get(service->store, wanted->id, &known, e) == 0;
	enum backend backend = params_backend(&wanted->params);
	struct err ignored;

	if (!is_known && e->code != ERR_NOT_FOUND)
		return -1;
	if (is_known && volume_is_going(&known) && params_backend(&known.params) != backend)
		return err_set(e, ERR_ABORTED,
			       "an earlier volume '%s' of the other storage-backend is still being "
			       "deleted",
			       wanted->id);
	if (backend == BACKEND_S3)
		return ensure_s3(call, request, is_known ? &known : NULL, wanted, ret_made, e);
	/* An unfinished deletion: nobody may find the old data under the new name. */
	if (is_known && volume_is_going(&known)) {
		if (csi_delete_local(service, &known, e) < 0)
			return err_wrap(e, "cannot finish the deletion of the earlier volume '%s'",
					wanted->id);
		is_known = false;
	}
	if (is_known ? check_known(service, request, &known, wanted, e) < 0
		     : announce(service, wanted, e) < 0)
		return -1;
	if (local_create(&service->node, wanted, ret_made, e) < 0) {
		/* A disk that was too full may never have room: then nothing may stay behind. */
		bool ghost = !is_known ||
			     (known.state == VOLUME_CREATING && e->code == ERR_RESOURCE_EXHAUSTED);

		if (ghost && store_remove(service->store, wanted->id, &ignored) < 0)
			log_warn("cannot take back the record of a failed create",
				 KV("volume", wanted->id), KV("error", ignored.msg));
		return -1;
	}
	if (check_existing(request, ret_made, wanted, e) < 0)
		return -1;
	return is_known ? csi_mirror_record(service, &known, ret_made, e)
			: store_put(service->store, ret_made, e);
}

int controller_create_volume(struct rpc_call *call, struct err *e)
{
	const Request *request = (const Request *)call->request;
	struct csi_service *service = call->service;
	auto_record struct volume_record wanted = { 0 }, made = { 0 };
	Csi__V1__CreateVolumeResponse reply = CSI__V1__CREATE_VOLUME_RESPONSE__INIT;
	struct volume_message volume;
	auto_close int lock = -1;

	if (take_request(call, request, &wanted, e) < 0 ||
	    csi_lock_volume(service, wanted.id, &lock, e) < 0 ||
	    ensure_volume(call, request, &wanted, &made, e) < 0)
		return -1;
	volume_message_fill(&volume, &made);
	reply.volume = &volume.volume;
	return rpc_call_reply(call, &reply.base, e);
}
