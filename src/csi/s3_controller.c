/* CreateVolume, DeleteVolume and expansion of volumes in S3. */
#include <errno.h>
#include <string.h>

#include "base/lock.h"
#include "base/log.h"
#include "csi/place.h"
#include "csi/s3.h"
#include "volume/s3_layout.h"

/* Two creations at once must not both find a place free. */
enum { PLACES_WAIT_MS = 30 * 1000 };

struct neighbour {
	enum s3_overlap overlap;
	char id[VOLUME_ID_MAX + 1];
	bool shares; /* it has s3-shared-prefix */
};

struct neighbour_search {
	const struct volume_record *record;
	struct neighbour *found;
};

static int look_at_other(void *data, const char *id, const struct volume_record *other,
			 struct err *e)
{
	const struct neighbour_search *search = data;
	struct neighbour *found = search->found;

	if (!other)
		log_warn("a record cannot be read, so its place is not known", KV("volume", id),
			 KV("error", e->msg));
	if (!other || strcmp(id, search->record->id) == 0 || found->overlap == S3_NESTED)
		return 0;
	enum s3_overlap overlap = s3_places_compare(&search->record->params, search->record->id,
						    &other->params, other->id);
	if (overlap == S3_APART)
		return 0;
	found->overlap = overlap;
	memcpy(found->id, other->id, sizeof(found->id));
	found->shares = params_flag(&other->params, PARAM_S3_SHARED_PREFIX);
	return 0;
}

/* The other volume that lies nearest: at the same place, else inside or around it. */
static int find_neighbour(struct store *store, const struct volume_record *record,
			  struct neighbour *ret_found, struct err *e)
{
	struct neighbour_search search = { .record = record, .found = ret_found };

	*ret_found = (struct neighbour){ .overlap = S3_APART };
	return store_each(store, look_at_other, &search, e);
}

static int check_place(struct store *store, const struct volume_record *wanted, struct err *e)
{
	auto_free char *prefix = s3_prefix_of(&wanted->params, wanted->id);
	const char *bucket = wanted->params.value[PARAM_S3_BUCKET];
	struct neighbour found;

	if (find_neighbour(store, wanted, &found, e) < 0)
		return -1;
	if (found.overlap == S3_NESTED)
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"prefix '%.200s' in bucket '%s' lies inside or around that of volume "
			"'%s': deleting one would delete the other's data; choose another "
			"s3-path-prefix",
			prefix, bucket, found.id);
	if (found.overlap == S3_APART ||
	    (found.shares && params_flag(&wanted->params, PARAM_S3_SHARED_PREFIX)))
		return 0;
	return err_set(
		e, ERR_INVALID_ARGUMENT,
		"volume '%s' has prefix '%.200s' in bucket '%s' already: give each volume its "
		"own with s3-path-prefix: \"%.200s/${pvc.namespace}/${pvc.name}\" (or "
		"${pv.name}), or let all of them see the same files with "
		"s3-shared-prefix: \"true\"",
		found.id, prefix, bucket, prefix);
}

/* The bucket is looked at only when the request brings keys: a class need not give them here. */
static int look_at_bucket(const struct rpc_call *call, const struct volume_record *record,
			  struct err *e)
{
	const struct csi_service *service = call->service;
	const struct s3_secrets secrets = csi_s3_secrets(call, &record->params);
	struct s3_view view;

	if (!secrets.access_key || !secrets.secret_key)
		return 0;
	return s3_probe(&service->node, record, &secrets, &view, e);
}

int csi_s3_create(const struct rpc_call *call, const struct volume_record *known,
		  const struct volume_record *wanted, struct volume_record *ret_made, struct err *e)
{
	struct csi_service *service = call->service;

	if (known && known->state != VOLUME_DELETING) {
		volume_record_copy(known, ret_made);
		return 0;
	}
	if (known) {
		auto_record struct volume_record old = { 0 };

		volume_record_copy(known, &old);
		if (csi_s3_delete(call, &old, e) < 0)
			return err_wrap(e, "cannot finish the deletion of the earlier volume '%s'",
					wanted->id);
	}
	auto_close int lock = lock_slot(service->node.run_fd, "s3-places", 1, PLACES_WAIT_MS);
	if (lock < 0)
		return err_sys(e, -lock, "cannot lock the list of prefixes");
	if (check_place(service->store, wanted, e) < 0 || look_at_bucket(call, wanted, e) < 0 ||
	    store_put(service->store, wanted, e) < 0)
		return -1;
	volume_record_copy(wanted, ret_made);
	return 0;
}

static int purge(const struct rpc_call *call, const struct volume_record *record, struct err *e)
{
	struct csi_service *service = call->service;
	auto_s3_keys struct csi_s3_keys keys = { 0 };
	struct neighbour found;

	if (find_neighbour(service->store, record, &found, e) < 0)
		return -1;
	if (found.overlap == S3_NESTED)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the prefix of volume '%s' lies inside or around that of '%s': "
			       "nothing is deleted",
			       record->id, found.id);
	if (found.overlap == S3_SAME) {
		log_info("prefix is shared: its data stays for the other volume",
			 KV("volume", record->id), KV("other", found.id));
		return 0;
	}
	return csi_s3_keys_find(call, &record->params, &keys, e) < 0
		       ? -1
		       : s3_purge(&service->node, record, &keys.secrets, e);
}

int csi_s3_delete(const struct rpc_call *call, struct volume_record *record, struct err *e)
{
	struct csi_service *service = call->service;

	/* A node that left the cluster cannot write any more. */
	bool is_lost =
		*record->node && service->kube && cluster_node_is_gone(service, record->node);
	if (*record->node && !is_lost)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"volume '%s' is staged on node '%s': it cannot be deleted before it "
			"is unstaged there (a node that is lost for ever: `lcw volume release "
			"%s --accept-loss`)",
			record->id, record->node, record->id);
	/* Never staged: nothing was written for it. A shared prefix may hold what others wrote. */
	if (record->state == VOLUME_RESERVED &&
	    !params_flag(&record->params, PARAM_S3_SHARED_PREFIX))
		return store_remove(service->store, record->id, e);
	if (record->state != VOLUME_DELETING) {
		record->state = VOLUME_DELETING;
		if (store_put(service->store, record, e) < 0)
			return -1;
	}
	return purge(call, record, e) < 0 ? -1 : store_remove(service->store, record->id, e);
}

int csi_s3_expand(struct csi_service *service, struct volume_record *record, uint64_t bytes,
		  struct err *e)
{
	if (bytes <= record->capacity_bytes)
		return 0;
	record->capacity_bytes = bytes;
	return store_put(service->store, record, e);
}
