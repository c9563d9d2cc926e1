/* LUKSVolume objects: made and read. */
#include "volume/luksvolume.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/parse.h"
#include "volume/params_json.h"

static const char *const phase_names[] = {
	[LUKSVOLUME_PENDING] = "Pending",
	[LUKSVOLUME_READY] = "Ready",
	[LUKSVOLUME_EXHAUSTED] = "Exhausted",
	[LUKSVOLUME_FAILED] = "Failed",
};

const char *luksvolume_phase_name(enum luksvolume_phase phase)
{
	return phase_names[phase];
}

/* RFC 1123: lower case letters, digits, '-' and '.', each part with a letter or digit at its ends.
 */
static bool is_object_name(const char *text)
{
	for (const char *at = text; *at; at++) {
		bool plain = (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9');
		bool inside = at > text && at[1] && at[-1] != '.' && at[1] != '.';

		if (!plain && !(*at == '-' && inside) && !(*at == '.' && inside && at[-1] != '-'))
			return false;
	}
	return *text;
}

void luksvolume_name(const char *id, char ret_name[LUKSVOLUME_NAME_SIZE])
{
	char hash[HASH_HEX_SIZE];

	if (is_object_name(id)) {
		snprintf(ret_name, LUKSVOLUME_NAME_SIZE, "%s", id);
		return;
	}
	hash_hex(id, hash);
	snprintf(ret_name, LUKSVOLUME_NAME_SIZE, "volume-%s", hash);
}

void quantity_format(uint64_t bytes, char ret_text[QUANTITY_SIZE])
{
	static const char *const units[] = { "", "Ki", "Mi", "Gi", "Ti" };
	size_t unit = 0;

	while (bytes && bytes % 1024 == 0 && unit + 1 < ARRAY_LEN(units)) {
		bytes /= 1024;
		unit++;
	}
	snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 "%s", bytes, units[unit]);
}

json_t *luksvolume_object(const struct volume_record *record)
{
	bool local = params_backend(&record->params) == BACKEND_LOCAL;
	char name[LUKSVOLUME_NAME_SIZE], capacity[QUANTITY_SIZE];

	luksvolume_name(record->id, name);
	quantity_format(record->capacity_bytes, capacity);
	json_t *object =
		json_pack("{s:s, s:s, s:{s:s, s:[s]}, s:{s:s, s:s, s:s, s:s, s:s, s:o}}",
			  "apiVersion", KUBE_GROUP "/v1alpha1", "kind", "LUKSVolume", "metadata",
			  "name", name, "finalizers", LUKSVOLUME_FINALIZER, "spec", "volumeID",
			  record->id, "backend", local ? "local" : "s3", "volumeMode",
			  record->block ? "Block" : "Filesystem", "capacity", capacity, "created",
			  record->created, "parameters", params_to_json(&record->params));
	json_t *spec = json_object_get(object, "spec");

	json_object_set_new(spec, "volumeName", json_string(record->name));
	if (local)
		json_object_set_new(spec, "nodeName", json_string(record->node));
	if (*record->claim)
		json_object_set_new(spec, "claim", json_string(record->claim));
	return object;
}

/* Copies a text that may be missing; false when it is no text, too long or not clean. */
static bool take_text(const json_t *object, const char *key, char *ret_text, size_t size)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);

	ret_text[0] = '\0';
	if (!value)
		return true;
	if (!text || strlen(text) >= size || !text_is_clean(text))
		return false;
	memcpy(ret_text, text, strlen(text) + 1);
	return true;
}

#define TAKE_TEXT(object, key, target) take_text(object, key, target, sizeof(target))

static bool take_size(const json_t *object, const char *key, uint64_t *ret_bytes)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && parse_size(text, ret_bytes);
}

/* NULL, or the field that is not valid. */
static const char *take_spec(const json_t *spec, struct luksvolume *v)
{
	struct volume_record *r = &v->record;
	const char *mode = json_string_value(json_object_get(spec, "volumeMode"));
	struct err ignored;

	if (!TAKE_TEXT(spec, "volumeID", r->id) || volume_id_check(r->id, &ignored) < 0)
		return "spec.volumeID";
	if (!TAKE_TEXT(spec, "volumeName", r->name))
		return "spec.volumeName";
	if (!TAKE_TEXT(spec, "nodeName", r->node))
		return "spec.nodeName";
	if (!TAKE_TEXT(spec, "claim", r->claim))
		return "spec.claim";
	if (!TAKE_TEXT(spec, "created", r->created))
		return "spec.created";
	if (!take_size(spec, "capacity", &v->wanted_bytes) || v->wanted_bytes == 0)
		return "spec.capacity";
	r->block = mode && strcmp(mode, "Block") == 0;
	v->may_destroy = json_is_true(json_object_get(spec, "destroy"));
	r->capacity_bytes = v->wanted_bytes;
	if (params_from_json(json_object_get(spec, "parameters"), &r->params, &ignored) < 0)
		return "spec.parameters";
	return NULL;
}

static void take_metadata(const json_t *object, struct luksvolume *v)
{
	const json_t *metadata = json_object_get(object, "metadata"), *value;
	size_t at;

	TAKE_TEXT(metadata, "uid", v->uid);
	TAKE_TEXT(metadata, "resourceVersion", v->version);
	v->generation = json_integer_value(json_object_get(metadata, "generation"));
	v->is_going = json_object_get(metadata, "deletionTimestamp");
	json_array_foreach(json_object_get(metadata, "finalizers"), at, value)
	{
		v->has_finalizer |= strcmp(json_string_value(value), LUKSVOLUME_FINALIZER) == 0;
	}
}

static enum err_code code_from_name(const char *name)
{
	for (int code = ERR_OK; name && code <= ERR_UNAUTHENTICATED; code++)
		if (strcmp(err_code_name((enum err_code)code), name) == 0)
			return (enum err_code)code;
	return name ? ERR_INTERNAL : ERR_OK;
}

static void take_trouble(const json_t *status, struct luksvolume *v)
{
	const char *phase = json_string_value(json_object_get(status, "phase"));
	const char *message = json_string_value(json_object_get(status, "message"));
	const json_t *condition = json_array_get(json_object_get(status, "conditions"), 0);
	const char *healthy = json_string_value(json_object_get(condition, "status"));

	for (size_t i = 0; phase && i < ARRAY_LEN(phase_names); i++)
		if (strcmp(phase_names[i], phase) == 0)
			v->phase = (enum luksvolume_phase)i;
	v->observed = json_integer_value(json_object_get(status, "observedGeneration"));
	v->why.code = code_from_name(json_string_value(json_object_get(status, "code")));
	if (v->why.code != ERR_OK)
		err_set(&v->why, v->why.code, "%s", message ? message : "no reason is given");
	v->is_abnormal = healthy && strcmp(healthy, "True") != 0;
	TAKE_TEXT(condition, "message", v->condition);
}

/* The node that has an S3 volume staged, if any. */
static void take_holder(const json_t *status, struct volume_record *r)
{
	const char *node;
	json_t *value;

	json_object_foreach(json_object_get(status, "nodes"), node, value)
	{
		if (strlen(node) < sizeof(r->node))
			memcpy(r->node, node, strlen(node) + 1);
	}
}

static void take_status(const json_t *status, struct luksvolume *v)
{
	struct volume_record *r = &v->record;
	bool s3 = params_backend(&r->params) == BACKEND_S3;
	const char *offset = json_string_value(json_object_get(status, "dataOffset"));

	r->state = s3 ? VOLUME_RESERVED : VOLUME_CREATING;
	volume_state_from_name(json_string_value(json_object_get(status, "state")), &r->state);
	if (v->is_going && v->may_destroy && r->state != VOLUME_ERASED &&
	    (s3 || r->state != VOLUME_CREATING))
		r->state = VOLUME_DELETING;
	if (!s3)
		take_size(status, "capacity", &r->capacity_bytes);
	r->data_offset_bytes = s3 ? 0 : LUKS_HEADER_BYTES;
	if (offset)
		parse_size(offset, &r->data_offset_bytes);
	TAKE_TEXT(status, "luksUUID", r->luks_uuid);
	TAKE_TEXT(status, "fsUUID", r->fs_uuid);
	TAKE_TEXT(status, "keyChanged", r->key_changed);
	r->adopted = json_is_true(json_object_get(status, "adopted"));
	take_trouble(status, v);
	if (s3)
		take_holder(status, r);
}

int luksvolume_parse(const json_t *object, struct luksvolume *ret_volume, struct err *e)
{
	const char *name =
		json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
	struct luksvolume volume = { 0 };
	const char *bad = take_spec(json_object_get(object, "spec"), &volume);
	char expected[LUKSVOLUME_NAME_SIZE];

	/* One made by hand may not speak for another volume. */
	luksvolume_name(volume.record.id, expected);
	if (!bad && (!name || strcmp(name, expected) != 0))
		bad = "spec.volumeID";
	if (bad) {
		volume_record_done(&volume.record);
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "LUKSVolume '%s': field '%s' is missing or not valid",
			       name ? name : "?", bad);
	}
	take_metadata(object, &volume);
	take_status(json_object_get(object, "status"), &volume);
	*ret_volume = volume;
	return 0;
}

bool luksvolume_is_on(const struct luksvolume *v, const char *node)
{
	return params_backend(&v->record.params) == BACKEND_LOCAL &&
	       strcmp(v->record.node, node) == 0;
}

bool luksvolume_is_exhausted(const struct luksvolume *v)
{
	return v->phase == LUKSVOLUME_EXHAUSTED && v->observed >= v->generation;
}

bool luksvolume_is_waiting(const struct luksvolume *v)
{
	if (v->is_going)
		return v->has_finalizer;
	if (luksvolume_is_exhausted(v))
		return false;
	return v->phase != LUKSVOLUME_READY || v->record.state == VOLUME_CREATING ||
	       v->wanted_bytes > v->record.capacity_bytes;
}
