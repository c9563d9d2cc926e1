/* What a LUKSVolume waits for, done. */
#include "agent/work.h"

#include <string.h>

#include "agent/report.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "csi/local.h"
#include "kube/client.h"
#include "store/store_kube.h"

static const char *place_of(const struct luksvolume *wanted)
{
	return wanted->record.params.value[PARAM_LOCAL_PATH];
}

/* What this node knows is better than what the cluster remembers. */
static int find(const struct csi_service *service, const struct luksvolume *wanted,
		struct volume_record *ret_record, struct err *e)
{
	if (csi_find_volume(service, wanted->record.id, place_of(wanted), ret_record, e) == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	volume_record_copy(&wanted->record, ret_record);
	return 0;
}

/*
 * To the cluster a volume that was never made, here one that has been in use: the cluster's memory
 * was restored from before, and who gives up the one does not mean the other.
 */
static bool is_better_known_here(const struct luksvolume *wanted,
				 const struct volume_record *record)
{
	return wanted->record.state == VOLUME_CREATING &&
	       (record->state == VOLUME_FORMATTING || record->state == VOLUME_FORMATTED);
}

/* The data stay, and the next report makes the object again where there are any. */
static int keep(const struct csi_service *service, const struct luksvolume *wanted, struct err *e)
{
	log_warn("the LUKSVolume was deleted, but not by DeleteVolume: the data stay, and so does "
		 "what the cluster knows of them",
		 KV("volume", wanted->record.id));
	return store_kube_let_go(service->kube, wanted->record.id, e);
}

/*
 * The store forgets the volume last: between the object's end and its own a crash leaves "erased",
 * which work_on_reports() clears away. The other way round nobody would know why the data are
 * missing.
 */
static int destroy(const struct csi_service *service, const struct luksvolume *wanted,
		   struct err *e)
{
	auto_record struct volume_record record = { 0 };

	if (find(service, wanted, &record, e) < 0)
		return -1;
	if (is_better_known_here(wanted, &record))
		return keep(service, wanted, e);
	if (csi_erase_local(service, &record, e) < 0 ||
	    store_kube_let_go(service->kube, wanted->record.id, e) < 0 ||
	    store_remove(service->store, record.id, e) < 0)
		return -1;
	csi_forget_lock(service, record.id);
	return 0;
}

static int make(const struct csi_service *service, const struct luksvolume *wanted,
		struct volume_record *ret_record, struct err *e)
{
	auto_record struct volume_record record = { 0 };

	volume_record_copy(&wanted->record, &record);
	record.state = VOLUME_RESERVED;
	record.capacity_bytes = wanted->wanted_bytes;
	return local_path_check(&service->node, place_of(wanted), record.id, e) < 0
		       ? -1
		       : csi_create_local(service, &record, ret_record, e);
}

static int find_made(const struct csi_service *service, const struct luksvolume *wanted,
		     struct volume_record *ret_record, struct err *e)
{
	if (csi_find_volume(service, wanted->record.id, place_of(wanted), ret_record, e) == 0)
		return 0;
	return e->code == ERR_NOT_FOUND
		       ? err_set(e, ERR_FAILED_PRECONDITION,
				 "the data of volume '%s' cannot be found in '%s': is the disk of "
				 "local-path mounted?",
				 wanted->record.id, place_of(wanted))
		       : -1;
}

/* *ret_record is what is there, also after a failure; zeroed: nothing. */
static int ensure(const struct csi_service *service, const struct luksvolume *wanted,
		  struct volume_record *ret_record, struct err *e)
{
	auto_record struct volume_record found = { 0 };
	bool is_new = wanted->record.state == VOLUME_CREATING;

	if ((is_new ? make(service, wanted, &found, e) : find_made(service, wanted, &found, e)) < 0)
		return -1;
	if (found.capacity_bytes >= wanted->wanted_bytes) {
		volume_record_copy(&found, ret_record);
		return 0;
	}
	if (csi_grow_local(service, &found, wanted->wanted_bytes, ret_record, e) == 0)
		return 0;
	volume_record_done(ret_record);
	volume_record_copy(&found, ret_record);
	return -1;
}

static void tell(const struct csi_service *service, const json_t *object,
		 const struct volume_record *record, const struct err *why)
{
	struct err e = { 0 };

	if (report_volume(service, object, record, why, &e) < 0)
		log_warn("cannot report a volume to the cluster",
			 KV("volume", record ? record->id : ""), KV("error", e.msg));
}

static int act(const struct csi_service *service, const json_t *object,
	       const struct luksvolume *wanted, struct err *e)
{
	auto_record struct volume_record record = { 0 };
	auto_close int lock = -1;

	if (csi_lock_volume(service, wanted->record.id, &lock, e) < 0)
		return -1;
	if (wanted->is_going && !wanted->may_destroy)
		return keep(service, wanted, e);
	if (wanted->is_going) {
		if (destroy(service, wanted, e) == 0)
			return 0;
		tell(service, object, NULL, e);
		return -1;
	}
	int rc = ensure(service, wanted, &record, e);
	const struct volume_record *there = *record.id ? &record : NULL;
	if (rc == 0)
		return report_volume(service, object, there, NULL, e);
	tell(service, object, there, e);
	return -1;
}

int work_on_volume(const struct csi_service *service, const char *id, struct err *e)
{
	auto_json json_t *object = NULL;
	struct luksvolume wanted = { 0 };
	int rc = 0;

	if (store_kube_object(service->kube, id, &object, e) < 0)
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (luksvolume_parse(object, &wanted, e) < 0)
		return -1;
	if (luksvolume_is_on(&wanted, service->node.id) && strcmp(wanted.record.id, id) == 0 &&
	    luksvolume_is_waiting(&wanted))
		rc = act(service, object, &wanted, e);
	volume_record_done(&wanted.record);
	return rc;
}
