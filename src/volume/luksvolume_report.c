/* What a node says of a volume, as the status of its LUKSVolume. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "volume/luksvolume.h"

static enum luksvolume_phase phase_of(const struct luksvolume_report *report)
{
	if (!report->why)
		return LUKSVOLUME_READY;
	return report->why->code == ERR_RESOURCE_EXHAUSTED ? LUKSVOLUME_EXHAUSTED
							   : LUKSVOLUME_FAILED;
}

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *quantity(uint64_t bytes)
{
	char text[QUANTITY_SIZE];

	quantity_format(bytes, text);
	return json_string(text);
}

static void put_outcome(json_t *status, const struct luksvolume_report *report)
{
	const struct err *why = report->why;

	json_object_set_new(status, "phase", json_string(luksvolume_phase_name(phase_of(report))));
	json_object_set_new(status, "code",
			    why ? json_string(err_code_name(why->code)) : json_null());
	json_object_set_new(status, "message", why ? json_string(why->msg) : json_null());
	if (report->generation)
		json_object_set_new(status, "observedGeneration", json_integer(report->generation));
}

static const json_t *condition_of(const json_t *object)
{
	return json_array_get(json_object_get(json_object_get(object, "status"), "conditions"), 0);
}

const char *luksvolume_healthy(const json_t *object)
{
	return json_string_value(json_object_get(condition_of(object), "status"));
}

const char *luksvolume_healthy_message(const json_t *object)
{
	const char *text = json_string_value(json_object_get(condition_of(object), "message"));

	return text ? text : "";
}

/* Standard condition: its time is that of the last change of its status. */
static json_t *new_condition(const json_t *object, const char *word, const char *reason,
			     const char *message)
{
	const char *before = luksvolume_healthy(object);
	const char *since =
		json_string_value(json_object_get(condition_of(object), "lastTransitionTime"));
	char now[CLOCK_TEXT_SIZE];

	clock_utc_text(now);
	if (!before || !since || strcmp(before, word) != 0)
		since = now;
	return json_pack("[{s:s, s:s, s:s, s:s, s:s}]", "type", "Healthy", "status", word, "reason",
			 reason, "message", message, "lastTransitionTime", since);
}

static json_t *condition(const json_t *object, const struct luksvolume_report *report)
{
	const char *message = report->record ? report->condition : report->why->msg;

	return report->is_abnormal || !report->record
		       ? new_condition(object, "False", "Abnormal", message)
		       : new_condition(object, "True", "AsExpected", message);
}

json_t *luksvolume_silence_patch(const json_t *object, const char *node)
{
	const json_t *version =
		json_object_get(json_object_get(object, "metadata"), "resourceVersion");
	const char *before = luksvolume_healthy(object);
	char message[512];

	if (!before || strcmp(before, "Unknown") == 0)
		return NULL;
	snprintf(message, sizeof(message),
		 "node '%.253s', which has it, says nothing any more: look at the node, and at the "
		 "driver's pod there",
		 node);
	return json_pack("{s:{s:O}, s:{s:o}}", "metadata", "resourceVersion", version, "status",
			 "conditions", new_condition(object, "Unknown", "NodeSilent", message));
}

static void put_local(json_t *status, const struct volume_record *record)
{
	json_object_set_new(status, "capacity", quantity(record->capacity_bytes));
	json_object_set_new(status, "dataOffset", quantity(record->data_offset_bytes));
	json_object_set_new(status, "luksUUID", text_or_null(record->luks_uuid));
	json_object_set_new(status, "fsUUID", text_or_null(record->fs_uuid));
	json_object_set_new(status, "keyChanged", text_or_null(record->key_changed));
	json_object_set_new(status, "adopted", record->adopted ? json_true() : json_null());
}

/* Several nodes may read an S3 volume at once: each writes its own entry. */
static void put_s3(json_t *status, const struct luksvolume_report *report)
{
	bool here = strcmp(report->record->node, report->node) == 0;
	json_t *nodes = json_object();

	json_object_set_new(nodes, report->node, here ? json_object() : json_null());
	json_object_set_new(status, "nodes", nodes);
	if (!report->has_queue && here)
		return; /* not known: what was said last stays */
	json_object_set_new(status, "queuedFiles", json_integer((json_int_t)report->queued_files));
	json_object_set_new(status, "queued", quantity(report->queued_bytes));
}

/*
 * An S3 volume that another node has, and this one has no more and has said so: only the other can
 * speak of it. Every node that ever had it keeps its record.
 */
static bool is_of_another(const json_t *object, const struct luksvolume_report *report)
{
	const json_t *nodes = json_object_get(json_object_get(object, "status"), "nodes");
	const struct volume_record *record = report->record;

	return record && params_backend(&record->params) == BACKEND_S3 &&
	       strcmp(record->node, report->node) != 0 && json_object_size(nodes) > 0 &&
	       !json_object_get(nodes, report->node);
}

/* Whether a merge patch's value would change what is there. */
static bool changes(const json_t *before, const json_t *after)
{
	const char *key;
	json_t *value;

	if (json_is_null(after))
		return before && !json_is_null(before);
	if (!json_is_object(after))
		return !json_equal(before, after);
	if (!json_is_object(before))
		return json_object_size(after) > 0 || !before;
	json_object_foreach((json_t *)after, key, value)
	{
		if (changes(json_object_get(before, key), value))
			return true;
	}
	return false;
}

json_t *luksvolume_report_patch(const json_t *object, const struct luksvolume_report *report)
{
	const json_t *before = json_object_get(object, "status");
	const struct volume_record *record = report->record;

	if (is_of_another(object, report))
		return NULL;
	json_t *status = json_object();
	put_outcome(status, report);
	if (record) {
		json_object_set_new(status, "state", json_string(volume_state_name(record->state)));
		if (params_backend(&record->params) == BACKEND_S3)
			put_s3(status, report);
		else
			put_local(status, record);
	}
	/* What was never made has no health. */
	if (record || json_object_get(before, "state"))
		json_object_set_new(status, "conditions", condition(object, report));
	if (!changes(before, status)) {
		json_decref(status);
		return NULL;
	}
	return json_pack("{s:o}", "status", status);
}
