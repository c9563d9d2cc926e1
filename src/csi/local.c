/* Local volumes of this node: data, record beside them and the store, as one. */
#include "csi/local.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "engine/local_disk.h"

const char *csi_difference(const struct volume_record *existing, const struct volume_record *wanted)
{
	if (strcmp(existing->name, wanted->name) != 0)
		return "name";
	const char *difference = params_difference(&existing->params, &wanted->params);
	return !difference && existing->block != wanted->block ? "volumeMode" : difference;
}

static int check_same(const struct volume_record *existing, const struct volume_record *wanted,
		      struct err *e)
{
	const char *difference = csi_difference(existing, wanted);

	return difference ? err_set(e, ERR_ALREADY_EXISTS, "volume '%s' exists with another '%s'",
				    wanted->id, difference)
			  : 0;
}

/* A part of it may lie on the disk that is not there: then no other node may be asked. */
static int check_disk(const struct csi_service *service, const struct volume_record *known,
		      struct err *e)
{
	if (local_disk_check(&service->node, known->params.value[PARAM_LOCAL_PATH], e) == 0)
		return 0;
	if (e->code == ERR_RESOURCE_EXHAUSTED)
		e->code = ERR_UNAVAILABLE;
	return -1;
}

/*
 * The store may know the volume: then it must be the same. One whose making came to its end must
 * have its record beside the data still: anything else would make a second, empty one, where the
 * disk that holds the first is not mounted.
 */
static int check_known(const struct csi_service *service, const struct volume_record *known,
		       const struct volume_record *wanted, struct err *e)
{
	auto_record struct volume_record beside = { 0 };

	if (check_same(known, wanted, e) < 0)
		return -1;
	if (known->state == VOLUME_CREATING)
		return check_disk(service, known, e);
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

int csi_create_local(const struct csi_service *service, const struct volume_record *wanted,
		     struct volume_record *ret_made, struct err *e)
{
	auto_record struct volume_record known = { 0 };
	bool is_known = store_get(service->store, wanted->id, &known, e) == 0;
	struct err ignored;

	if (!is_known && e->code != ERR_NOT_FOUND)
		return -1;
	/* An unfinished deletion: nobody may find the old data under the new name. */
	if (is_known && volume_is_going(&known)) {
		if (csi_delete_local(service, &known, e) < 0)
			return err_wrap(e, "cannot finish the deletion of the earlier volume '%s'",
					wanted->id);
		is_known = false;
	}
	if (is_known ? check_known(service, &known, wanted, e) < 0
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
	local_disk_remember(&service->node, wanted->params.value[PARAM_LOCAL_PATH]);
	if (check_same(ret_made, wanted, e) < 0)
		return -1;
	return is_known ? csi_mirror_record(service, &known, ret_made, e)
			: store_put(service->store, ret_made, e);
}

/* On a full disk the mark cannot be written, and deleting is what may make room. */
static int mark(const struct csi_service *service, struct volume_record *record,
		enum volume_state state, struct err *e)
{
	record->state = state;
	if (store_put(service->store, record, e) == 0)
		return 0;
	if (e->code != ERR_RESOURCE_EXHAUSTED)
		return -1;
	log_warn("no space in --state-dir to write down that a volume is being deleted: going on",
		 KV("volume", record->id));
	return 0;
}

/*
 * A folder that is missing may be on a disk that is not mounted. It was deleted only where the
 * store says that its data are gone, or that there never were any.
 */
static int begin_deletion(const struct csi_service *service, struct volume_record *record,
			  bool *ret_present, struct err *e)
{
	const char *local_path = record->params.value[PARAM_LOCAL_PATH];

	if (local_delete_check(&service->node, local_path, record->id, ret_present, e) < 0)
		return -1;
	if (record->state == VOLUME_CREATING || record->state == VOLUME_RESERVED ||
	    record->state == VOLUME_ERASED)
		return 0;
	if (!*ret_present)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the data of volume '%s' cannot be found in '%s' on node '%s', so "
			"nothing can be destroyed: is the disk of local-path mounted? If the "
			"data are lost, `lcw volume forget %s` removes what is known of it",
			record->id, local_path, service->node.id, record->id);
	return record->state == VOLUME_DELETING ? 0 : mark(service, record, VOLUME_DELETING, e);
}

/* The data, the mark that they are gone, the folder: each step repeatable. */
int csi_erase_local(const struct csi_service *service, struct volume_record *record, struct err *e)
{
	const char *local_path = record->params.value[PARAM_LOCAL_PATH];
	bool present;

	if (begin_deletion(service, record, &present, e) < 0 ||
	    (present && local_delete_data(&service->node, local_path, record->id, e) < 0) ||
	    (record->state != VOLUME_ERASED && mark(service, record, VOLUME_ERASED, e) < 0))
		return -1;
	return local_delete(&service->node, local_path, record->id, e);
}

int csi_delete_local(const struct csi_service *service, struct volume_record *record, struct err *e)
{
	return csi_erase_local(service, record, e) < 0
		       ? -1
		       : store_remove(service->store, record->id, e);
}

int csi_grow_local(const struct csi_service *service, const struct volume_record *record,
		   uint64_t bytes, struct volume_record *ret_grown, struct err *e)
{
	/* Beside the data may stand more than the store knows, after a crash; it counts. */
	if (local_grow_image(&service->node, record, bytes, ret_grown, e) < 0)
		return -1;
	return store_put(service->store, ret_grown, e);
}

int csi_mirror_record(const struct csi_service *service, const struct volume_record *known,
		      const struct volume_record *now, struct err *e)
{
	auto_free char *before = volume_record_format(known);
	auto_free char *after = volume_record_format(now);

	if (*known->id && local_check_known(known, now, e) < 0)
		return -1;
	if (strcmp(before, after) == 0 || store_put(service->store, now, e) == 0)
		return 0;
	/* A volume in S3 has no other record that says where it is in use. */
	if (!*known->id || known->state != now->state || params_backend(&now->params) == BACKEND_S3)
		return -1;
	log_warn("cannot write the store's copy of a record", KV("volume", now->id),
		 KV("error", e->msg));
	return 0;
}
