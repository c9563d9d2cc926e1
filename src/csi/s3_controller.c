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

/* Another volume that lies at the same place, or inside or around it. */
struct neighbour {
	enum s3_overlap overlap;
	char id[VOLUME_ID_MAX + 1];
	bool shares, is_going; /* it has s3-shared-prefix; it is being deleted */
	bool other_endpoint;   /* which may be another name of the same server */
};

struct neighbour_search {
	const struct volume_record *record;
	struct neighbour *found;
	struct err unknown; /* a record that cannot be read */
};

static int look_at_other(void *data, const char *id, const struct volume_record *other,
			 struct err *e)
{
	struct neighbour_search *search = data;
	struct neighbour *found = search->found;

	if (strcmp(id, search->record->id) == 0)
		return 0;
	if (!other) {
		err_set(&search->unknown, ERR_FAILED_PRECONDITION,
			"the record of volume '%s' cannot be read, so nobody knows whether its "
			"data have the same s3-path-prefix: mend it first (%.200s)",
			id, e->msg);
		return 0;
	}
	enum s3_overlap overlap = s3_places_compare(&search->record->params, search->record->id,
						    &other->params, other->id);
	/* Of two, the one that stays counts; one that is nested counts most. */
	if (overlap == S3_APART || found->overlap == S3_NESTED ||
	    (overlap == found->overlap && !found->is_going))
		return 0;
	*found = (struct neighbour){
		.overlap = overlap,
		.shares = params_flag(&other->params, PARAM_S3_SHARED_PREFIX),
		.is_going = volume_is_going(other),
		.other_endpoint =
			!params_same(&search->record->params, &other->params, PARAM_S3_ENDPOINT),
	};
	memcpy(found->id, other->id, sizeof(found->id));
	return 0;
}

/*
 * The neighbour of a volume, if it has one. A prefix that nobody chose is like no other, so only
 * for one that was chosen a record that cannot be read is an error.
 */
static int find_neighbour(struct store *store, const struct volume_record *record,
			  struct neighbour *ret_found, struct err *e)
{
	struct neighbour_search search = { .record = record, .found = ret_found };

	*ret_found = (struct neighbour){ .overlap = S3_APART };
	if (store_each(store, look_at_other, &search, e) < 0)
		return -1;
	if (search.unknown.code == ERR_OK || !record->params.value[PARAM_S3_PATH_PREFIX])
		return 0;
	*e = search.unknown;
	return -1;
}

static int lock_places(const struct csi_service *service, struct err *e)
{
	int lock = lock_slot(service->node.run_fd, "s3-places", 1, PLACES_WAIT_MS);

	return lock < 0 ? err_sys(e, -lock, "cannot lock the list of prefixes") : lock;
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
	if (found.overlap == S3_APART)
		return 0;
	/* Its purge takes whatever is written there meanwhile. */
	if (found.is_going)
		return err_set(e, ERR_ABORTED,
			       "volume '%s' with the same prefix '%.200s' in bucket '%s' is being "
			       "deleted: the next call goes on when it is gone",
			       found.id, prefix, bucket);
	if (found.shares && params_flag(&wanted->params, PARAM_S3_SHARED_PREFIX))
		return 0;
	return err_set(
		e, ERR_INVALID_ARGUMENT,
		"volume '%s' has prefix '%.200s' in bucket '%s' already: give each volume its "
		"own with s3-path-prefix: \"%.200s-${pvc.namespace}-${pvc.name}\" (or "
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
	/* Before the lock: a server that hangs must not hold up the volumes of others. */
	if (look_at_bucket(call, wanted, e) < 0)
		return -1;
	auto_close int lock = lock_places(service, e);
	if (lock < 0 || check_place(service->store, wanted, e) < 0 ||
	    store_put(service->store, wanted, e) < 0)
		return -1;
	volume_record_copy(wanted, ret_made);
	return 0;
}

/*
 * Puts down that the volume goes; *ret_last says whether its data go with it. Of two that share a
 * prefix and are deleted at once, one must see that the other goes too; so both look under one
 * lock, and nobody else is let into the prefix from then on (check_place()).
 */
static int condemn(struct csi_service *service, struct volume_record *record, bool *ret_last,
		   struct err *e)
{
	struct neighbour found;

	auto_close int lock = lock_places(service, e);
	if (lock < 0 || find_neighbour(service->store, record, &found, e) < 0)
		return -1;
	if (found.overlap == S3_NESTED && !found.other_endpoint)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the prefix of volume '%s' lies inside or around that of '%s': "
			       "nothing is deleted",
			       record->id, found.id);
	*ret_last = found.overlap == S3_APART || (found.overlap == S3_SAME && found.is_going);
	/* Of before the endpoint stopped counting: only a person knows whether it is one server. */
	if (!*ret_last && found.other_endpoint && !found.shares)
		log_warn("the data of a deleted volume stay: another one has that prefix in a "
			 "bucket of that name at another endpoint; where it is another server, "
			 "remove them there with rclone",
			 KV("volume", record->id), KV("other", found.id));
	else if (!*ret_last)
		log_info("prefix is shared: its data stays for the other volume",
			 KV("volume", record->id), KV("other", found.id));
	if (record->state == VOLUME_DELETING)
		return 0;
	record->state = VOLUME_DELETING;
	return store_put(service->store, record, e);
}

static int purge(const struct rpc_call *call, const struct volume_record *record, struct err *e)
{
	const struct csi_service *service = call->service;
	auto_s3_keys struct csi_s3_keys keys = { 0 };

	return csi_s3_keys_find(call, &record->params, &keys, e) < 0
		       ? -1
		       : s3_purge(&service->node, record, &keys.secrets, e);
}

/* A node that has the volume staged; "" when none has. One that left the cluster has nothing. */
static int find_user(const struct csi_service *service, const struct volume_record *record,
		     char ret_node[NODE_NAME_SIZE], struct err *e)
{
	if (service->kube)
		return cluster_user_of(service, record->id, ret_node, e);
	memcpy(ret_node, record->node, sizeof(record->node));
	return 0;
}

int csi_s3_delete(const struct rpc_call *call, struct volume_record *record, struct err *e)
{
	struct csi_service *service = call->service;
	char user[NODE_NAME_SIZE];
	bool is_last = false;

	if (find_user(service, record, user, e) < 0)
		return -1;
	if (*user)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"volume '%s' is staged on node '%s': it cannot be deleted before it "
			"is unstaged there (only where the node is lost for ever: `%s %s%s`)",
			record->id, user,
			service->kube ? "kubectl delete node" : "lcw volume release",
			service->kube ? user : record->id, service->kube ? "" : " --accept-loss");
	/* Never staged: nothing was written for it. A shared prefix may hold what others wrote. */
	if (record->state == VOLUME_RESERVED &&
	    !params_flag(&record->params, PARAM_S3_SHARED_PREFIX))
		return store_remove(service->store, record->id, e);
	if (condemn(service, record, &is_last, e) < 0 || (is_last && purge(call, record, e) < 0))
		return -1;
	return store_remove(service->store, record->id, e);
}

int csi_s3_expand(struct csi_service *service, struct volume_record *record, uint64_t bytes,
		  struct err *e)
{
	if (bytes <= record->capacity_bytes)
		return 0;
	record->capacity_bytes = bytes;
	return store_put(service->store, record, e);
}
