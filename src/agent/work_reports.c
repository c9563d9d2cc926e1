/* What this node has, told to the cluster, volume by volume. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/health.h"
#include "agent/node_report.h"
#include "agent/report.h"
#include "agent/work.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "csi/local.h"
#include "engine/s3_mount.h"
#include "kube/client.h"
#include "store/store_kube.h"

struct known {
	char id[VOLUME_ID_MAX + 1];
	bool is_s3, was_seen;
};

struct reports {
	const struct csi_service *service;
	struct known *known;
	size_t count, failed;
	bool is_thorough;
	char *waiting; /* ids, each with a line end; owned */
};

static int remember(void *data, const char *id, const struct volume_record *record, struct err *e)
{
	struct reports *reports = data;

	(void)e;
	if (!record) /* /metrics and `lcw node doctor` tell of it */
		return 0;
	if (reports->count % 64 == 0)
		reports->known =
			xrealloc(reports->known, (reports->count + 64) * sizeof(*reports->known));
	struct known *known = &reports->known[reports->count++];
	*known = (struct known){ .is_s3 = params_backend(&record->params) == BACKEND_S3 };
	memcpy(known->id, id, strlen(id) + 1);
	return 0;
}

/* One volume's trouble must not hide the others. */
static void count_failure(struct reports *reports, const char *id, const struct err *e)
{
	reports->failed++;
	log_warn("cannot report a volume to the cluster", KV("volume", id), KV("error", e->msg));
}

/*
 * The object has been worked on: what is here now, or that it is not here any more. An answer that
 * there is no room stands: it is what the controller waits for.
 */
static int report_object(const struct csi_service *service, const json_t *object,
			 const struct luksvolume *volume, struct err *e)
{
	const char *local_path = volume->record.params.value[PARAM_LOCAL_PATH];
	auto_record struct volume_record record = { 0 };
	bool is_exhausted = luksvolume_is_exhausted(volume);
	struct err why = { 0 };

	if (is_exhausted && volume->record.state == VOLUME_CREATING)
		return 0;
	if (csi_find_volume(service, volume->record.id, local_path, &record, &why) == 0) {
		is_exhausted = is_exhausted && record.capacity_bytes < volume->wanted_bytes;
		return report_volume(service, object, &record, is_exhausted ? &volume->why : NULL,
				     e);
	}
	if (why.code == ERR_NOT_FOUND)
		err_set(&why, ERR_FAILED_PRECONDITION,
			"the data of volume '%s' cannot be found in '%s': is the disk of "
			"local-path mounted?",
			volume->record.id, local_path);
	return report_volume(service, object, NULL, &why, e);
}

static void add_waiting(struct reports *reports, const char *id)
{
	auto_free char *before = reports->waiting;

	reports->waiting = xasprintf("%s%s\n", before ? before : "", id);
}

static int on_object(void *data, const json_t *object, struct err *e)
{
	struct reports *reports = data;
	struct luksvolume volume = { 0 };

	if (luksvolume_parse(object, &volume, e) < 0) {
		count_failure(reports, "?", e);
		return 0;
	}
	for (size_t i = 0; i < reports->count; i++)
		if (strcmp(reports->known[i].id, volume.record.id) == 0)
			reports->known[i].was_seen = true;
	/* What waits is worked on, and reported then. */
	if (luksvolume_is_waiting(&volume)) {
		if (luksvolume_is_on(&volume, reports->service->node.id))
			add_waiting(reports, volume.record.id);
	} else if (!volume.is_going && report_object(reports->service, object, &volume, e) < 0) {
		count_failure(reports, volume.record.id, e);
	}
	volume_record_done(&volume.record);
	return 0;
}

/*
 * The making of a volume was taken back while this node was away. Nobody ever had data in it; where
 * the record beside the image says otherwise, it stays.
 */
static int clear_begun(const struct csi_service *service, struct volume_record *record,
		       struct err *e)
{
	const char *local_path = record->params.value[PARAM_LOCAL_PATH];
	auto_record struct volume_record beside = { 0 };
	struct luksvolume volume = { 0 };

	if (store_kube_look(service->kube, record->id, &volume, e) == 0) {
		bool is_wanted = luksvolume_is_on(&volume, service->node.id);

		volume_record_done(&volume.record);
		if (is_wanted)
			return 0;
	} else if (e->code != ERR_NOT_FOUND) {
		return -1;
	}
	if (local_load(&service->node, local_path, record->id, &beside, e) == 0
		    ? beside.state != VOLUME_RESERVED
		    : e->code != ERR_NOT_FOUND)
		return 0;
	return csi_delete_local(service, record, e);
}

/* Only what is there now, under its lock: it may have been deleted since it was listed. */
static int restore_local(const struct reports *reports, const char *id, struct err *e)
{
	const struct csi_service *service = reports->service;
	auto_record struct volume_record record = { 0 };
	auto_close int lock = -1;

	if (csi_lock_volume(service, id, &lock, e) < 0 ||
	    store_get(service->store, id, &record, e) < 0)
		return e->code == ERR_ABORTED || e->code == ERR_NOT_FOUND ? 0 : -1;
	if (record.state == VOLUME_ERASED)
		return csi_delete_local(service, &record, e);
	if (record.state == VOLUME_CREATING)
		return clear_begun(service, &record, e);
	if (volume_is_going(&record) || report_lost(service, &record, e) == 0)
		return 0;
	if (e->code != ERR_ALREADY_EXISTS || strcmp(record.node, service->node.id) != 0)
		return -1;
	close(TAKE(lock, -1)); /* nobody has to wait while people are told */
	if (reports->is_thorough &&
	    local_folder_is_there(&service->node, record.params.value[PARAM_LOCAL_PATH], id))
		health_tell_second(service, &record);
	return 0;
}

/*
 * Deleted in the cluster. A stage may have come between, so it is looked at again under its lock;
 * and without its record a volume that is still mounted (for reading, by an earlier version, which
 * did not say so) could not be unstaged.
 */
static int forget_s3(const struct csi_service *service, const char *id, struct err *e)
{
	auto_record struct volume_record record = { 0 };
	auto_mount_table struct mount_table mounts = { 0 };
	auto_close int lock = -1;

	if (csi_lock_volume(service, id, &lock, e) < 0 ||
	    store_get(service->store, id, &record, e) < 0)
		return e->code == ERR_ABORTED || e->code == ERR_NOT_FOUND ? 0 : -1;
	if (mount_table_read(&mounts, e) < 0)
		return -1;
	bool in_use = strcmp(record.node, service->node.id) == 0 ||
		      s3_mount_staged(&mounts, &service->node, id);
	return in_use ? 0 : store_remove(service->store, id, e);
}

/* Other nodes have it too, so it is asked for by its name. */
static int report_s3(const struct csi_service *service, const char *id, struct err *e)
{
	auto_record struct volume_record record = { 0 };
	auto_json json_t *object = NULL;

	if (store_get(service->store, id, &record, e) < 0)
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (store_kube_object(service->kube, id, &object, e) == 0)
		return report_volume(service, object, &record, NULL, e);
	if (e->code != ERR_NOT_FOUND)
		return -1;
	return strcmp(record.node, service->node.id) == 0 ? report_lost(service, &record, e)
							  : forget_s3(service, id, e);
}

static int report_the_others(struct reports *reports, struct err *e)
{
	const struct csi_service *service = reports->service;

	for (size_t i = 0; i < reports->count; i++) {
		const struct known *known = &reports->known[i];
		int rc = 0;

		if (known->is_s3)
			rc = report_s3(service, known->id, e);
		else if (!known->was_seen)
			rc = restore_local(reports, known->id, e);
		if (rc < 0)
			count_failure(reports, known->id, e);
	}
	return 0;
}

/*
 * A node that was made anew under its name does not know the volumes in S3 that it had, and nobody
 * else may say that it has them no more.
 */
static int leave(void *data, const json_t *object, struct err *e)
{
	struct reports *reports = data;
	const struct csi_service *service = reports->service;
	const json_t *status = json_object_get(object, "status");
	const json_t *entry = json_object_get(json_object_get(status, "nodes"), service->node.id);
	auto_mount_table struct mount_table mounts = { 0 };
	auto_record struct volume_record record = { 0 }, known = { 0 };
	struct luksvolume volume = { 0 };

	if (!entry || json_is_null(entry) || luksvolume_parse(object, &volume, e) < 0)
		return 0;
	record = volume.record;
	if (store_get(service->store, record.id, &known, e) == 0 || e->code != ERR_NOT_FOUND ||
	    mount_table_read(&mounts, e) < 0 || s3_mount_staged(&mounts, &service->node, record.id))
		return 0;
	if (report_left(service, object, e) < 0)
		count_failure(reports, record.id, e);
	return 0;
}

/* First, so that a volume that cannot be reported does not make the node silent. */
static int report_node(const struct csi_service *service, struct err *e)
{
	auto_node_room struct node_room room = { 0 };

	return node_report_look(&service->node, service->store, &room, e) < 0
		       ? -1
		       : node_report_send(service->kube, &room, e);
}

int work_on_reports(const struct csi_service *service, bool is_thorough, char **ret_text,
		    struct err *e)
{
	auto_free char *selector = xasprintf("spec.nodeName=%s", service->node.id);
	auto_free char *query = kube_query("fieldSelector", selector);
	struct reports reports = { .service = service, .is_thorough = is_thorough };
	struct err why = { 0 };

	/* What the node cannot say of itself must not keep it from speaking of its volumes. */
	bool is_told = report_node(service, &why) == 0;
	int rc = store_each(service->store, remember, &reports, e);
	if (rc == 0)
		rc = kube_list(service->kube, LUKSVOLUMES, query, on_object, &reports, e);
	if (rc == 0)
		rc = report_the_others(&reports, e);
	if (rc == 0 && is_thorough)
		rc = kube_list(service->kube, LUKSVOLUMES, NULL, leave, &reports, e);
	free(reports.known);
	if (is_told && reports.failed)
		err_set(&why, ERR_UNAVAILABLE, "%zu volumes could not be reported", reports.failed);
	if (rc == 0)
		*ret_text = xasprintf("%s\n%s", is_told && !reports.failed ? "" : why.msg,
				      reports.waiting ? reports.waiting : "");
	free(reports.waiting);
	return rc;
}
