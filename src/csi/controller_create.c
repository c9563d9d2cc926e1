/* CreateVolume. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "csi/local.h"
#include "csi/place.h"
#include "csi/reply.h"
#include "csi/request.h"
#include "csi/s3.h"
#include "csi/service.h"
#include "csi/size.h"
#include "rpc/call.h"
#include "volume/cipher.h"

typedef Csi__V1__CreateVolumeRequest Request;

/* "" when the class leaves it open; the sidecars write an empty value then. */
static const char *fs_type_of_class(const Request *request)
{
	static const char *const keys[] = { "fsType", "csi.storage.k8s.io/fstype" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *value = request_map_value((void *const *)request->parameters,
						      request->n_parameters, keys[i]);

		if (value && *value)
			return value;
	}
	return "";
}

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
	const char *of_class = fs_type_of_class(request);
	if (*of_class && strcmp(of_class, fs_type) != 0)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "the StorageClass says fsType '%s', the capability '%s'", of_class,
			       fs_type);
	params_set(&wanted->params, PARAM_FS_TYPE, fs_type);
	return 0;
}

/* Where the volume can lie: on the disk of a node, or in its bucket, which has no node. */
static int take_place(const struct rpc_call *call, const Request *request,
		      struct volume_record *wanted, struct err *e)
{
	const struct csi_service *service = call->service;

	if (params_backend(&wanted->params) == BACKEND_S3)
		return csi_s3_complete(call, request, &wanted->params, e);
	wanted->data_offset_bytes = LUKS_HEADER_BYTES;
	return local_path_check(&service->node, wanted->params.value[PARAM_LOCAL_PATH], wanted->id,
				e);
}

/* With --extra-create-metadata external-provisioner says whom the volume is for. */
static void take_claim(const Request *request, struct volume_record *wanted)
{
	void *const *entries = (void *const *)request->parameters;
	const char *namespace = request_map_value(entries, request->n_parameters,
						  "csi.storage.k8s.io/pvc/namespace");
	const char *name =
		request_map_value(entries, request->n_parameters, "csi.storage.k8s.io/pvc/name");

	if (!namespace || !name || !text_is_clean(namespace) || !text_is_clean(name))
		return;
	int size = snprintf(wanted->claim, sizeof(wanted->claim), "%s/%s", namespace, name);
	if (size >= (int)sizeof(wanted->claim))
		wanted->claim[0] = '\0';
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
	if (rc < 0 || cipher_check_new(wanted->params.value[PARAM_LUKS_CIPHER], e) < 0 ||
	    take_capabilities(request, wanted, e) < 0)
		return -1;
	if (size_of_new(request->capacity_range, wanted, &wanted->capacity_bytes, e) < 0 ||
	    take_place(call, request, wanted, e) < 0)
		return -1;

	snprintf(wanted->name, sizeof(wanted->name), "%s", request->name);
	take_claim(request, wanted);
	clock_utc_text(wanted->created);
	return 0;
}

/* Whether the volume that exists is the one that is asked for (CSI: idempotency by name). */
static int check_existing(const Request *request, const struct volume_record *existing,
			  const struct volume_record *wanted, struct err *e)
{
	const char *difference = csi_difference(existing, wanted);

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

static int ensure_local(const struct rpc_call *call, const Request *request,
			const struct volume_record *known, const struct volume_record *wanted,
			struct volume_record *ret_made, struct err *e)
{
	const struct csi_service *service = call->service;
	struct place_nodes nodes;

	request_nodes(request->accessibility_requirements, &nodes);
	int rc = service->place->create(service, &nodes, known, wanted, call->deadline_ms, ret_made,
					e);
	free(nodes.names);
	return rc < 0 ? -1 : check_existing(request, ret_made, wanted, e);
}

static int ensure_volume(const struct rpc_call *call, const Request *request,
			 const struct volume_record *wanted, struct volume_record *ret_made,
			 struct err *e)
{
	const struct csi_service *service = call->service;
	auto_record struct volume_record found = { 0 };
	const struct volume_record *known = NULL;
	enum backend backend = params_backend(&wanted->params);

	if (store_get(service->store, wanted->id, &found, e) == 0)
		known = &found;
	else if (e->code != ERR_NOT_FOUND)
		return -1;
	if (known && volume_is_going(known) && params_backend(&known->params) != backend)
		return err_set(e, ERR_ABORTED,
			       "an earlier volume '%s' of the other storage-backend is still being "
			       "deleted",
			       wanted->id);
	if (known && !volume_is_going(known) && check_existing(request, known, wanted, e) < 0)
		return -1;
	/* A volume in S3 has no record but the store's. */
	return backend == BACKEND_S3 ? csi_s3_create(call, known, wanted, ret_made, e)
				     : ensure_local(call, request, known, wanted, ret_made, e);
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
