/* The status of LUKSVolumes. */
#include "agent/report.h"

#include "agent/health.h"
#include "base/log.h"
#include "engine/condition.h"
#include "engine/s3.h"
#include "kube/client.h"
#include "volume/luksvolume.h"

static const char *name_of(const json_t *object)
{
	return json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
}

static int64_t generation_of(const json_t *object)
{
	return json_integer_value(
		json_object_get(json_object_get(object, "metadata"), "generation"));
}

static void look_at_queue(const struct csi_service *service, const struct volume_record *record,
			  struct luksvolume_report *report)
{
	struct s3_queue queue;
	struct err ignored;

	if (!s3_has_queue(&service->node, record) ||
	    s3_queue_look(&service->node, record, &queue, &ignored) < 0)
		return;
	report->has_queue = true;
	report->queued_files = queue.files;
	report->queued_bytes = queue.bytes;
}

static int write_status(const struct csi_service *service, const json_t *object,
			const json_t *patch, struct err *e)
{
	auto_free char *path = kube_path(LUKSVOLUMES, name_of(object), "status", NULL);

	return kube_patch(service->kube, path, patch, NULL, e);
}

int report_left(const struct csi_service *service, const json_t *object, struct err *e)
{
	auto_json json_t *patch = json_pack("{s:{s:{s:n}}}", "status", "nodes", service->node.id);

	return write_status(service, object, patch, e);
}

int report_volume(const struct csi_service *service, const json_t *object,
		  const struct volume_record *record, const struct err *why, struct err *e)
{
	struct condition condition = { 0 };
	struct luksvolume_report report = {
		.record = record,
		.node = service->node.id,
		.why = why,
		.generation = generation_of(object),
	};

	if (record) {
		condition_look(&service->node, record, &condition);
		look_at_queue(service, record, &report);
		report.is_abnormal = condition.abnormal;
		report.condition = condition.message;
	}
	auto_json json_t *patch = luksvolume_report_patch(object, &report);
	if (patch && write_status(service, object, patch, e) < 0)
		return -1;
	if (patch)
		health_tell(service, object, patch);
	return 0;
}

int report_lost(const struct csi_service *service, const struct volume_record *record,
		struct err *e)
{
	auto_json json_t *object = luksvolume_object(record), *made = NULL;

	if (kube_create(service->kube, LUKSVOLUMES, object, &made, e) < 0)
		return -1;
	log_warn("made the LUKSVolume of a volume again that the cluster did not know",
		 KV("volume", record->id));
	return report_volume(service, made, record, NULL, e);
}
