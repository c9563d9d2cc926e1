/* The record of a volume as JSON. */
#include "volume/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/parse.h"
#include "volume/params_json.h"

#define RECORD_VERSION 1

static const char *const state_names[] = {
	[VOLUME_RESERVED] = "reserved",	  [VOLUME_FORMATTING] = "formatting",
	[VOLUME_FORMATTED] = "formatted", [VOLUME_DELETING] = "deleting",
	[VOLUME_ERASED] = "erased",	  [VOLUME_CREATING] = "creating",
};

void volume_record_done(struct volume_record *record)
{
	params_done(&record->params);
}

void volume_record_copy(const struct volume_record *from, struct volume_record *ret_record)
{
	*ret_record = *from;
	params_copy(&from->params, &ret_record->params);
}

bool volume_is_going(const struct volume_record *record)
{
	return record->state == VOLUME_DELETING || record->state == VOLUME_ERASED;
}

const char *volume_state_name(enum volume_state state)
{
	return state_names[state];
}

char *volume_record_format(const struct volume_record *record)
{
	auto_json json_t *root = json_object();

	json_object_set_new(root, "version", json_integer(RECORD_VERSION));
	json_object_set_new(root, "volumeId", json_string(record->id));
	json_object_set_new(root, "name", json_string(record->name));
	if (*record->claim)
		json_object_set_new(root, "claim", json_string(record->claim));
	json_object_set_new(root, "state", json_string(state_names[record->state]));
	json_object_set_new(root, "block", json_boolean(record->block));
	json_object_set_new(root, "adopted", json_boolean(record->adopted));
	json_object_set_new(root, "node", json_string(record->node));
	json_object_set_new(root, "capacityBytes",
			    json_integer((json_int_t)record->capacity_bytes));
	json_object_set_new(root, "dataOffsetBytes",
			    json_integer((json_int_t)record->data_offset_bytes));
	json_object_set_new(root, "luksUUID", json_string(record->luks_uuid));
	json_object_set_new(root, "fsUUID", json_string(record->fs_uuid));
	json_object_set_new(root, "created", json_string(record->created));
	json_object_set_new(root, "keyChanged", json_string(record->key_changed));
	json_object_set_new(root, "keyChanging", json_boolean(record->key_changing));
	json_object_set_new(root, "reencrypting", json_boolean(record->reencrypting));
	json_object_set_new(root, "reencryptEnding", json_boolean(record->reencrypt_ending));
	json_object_set_new(root, "keyRemoving", json_integer(record->key_removing));
	json_object_set_new(root, "parameters", params_to_json(&record->params));
	return json_text(root);
}

/* Reads the fields of one object; the first that is wrong is remembered and ends the reading. */
struct reader {
	const json_t *root;
	const char *bad;
};

static void read_text(struct reader *r, const char *key, char *ret_text, size_t size)
{
	const char *text = json_string_value(json_object_get(r->root, key));

	if (!text || strlen(text) >= size || !text_is_clean(text)) {
		if (!r->bad)
			r->bad = key;
		return;
	}
	memcpy(ret_text, text, strlen(text) + 1);
}

static void read_flag(struct reader *r, const char *key, bool *ret_flag)
{
	const json_t *value = json_object_get(r->root, key);

	if (!json_is_boolean(value) && !r->bad)
		r->bad = key;
	*ret_flag = json_is_true(value);
}

static void read_slot(struct reader *r, const char *key, unsigned *ret_slot)
{
	const json_t *value = json_object_get(r->root, key);
	json_int_t slot = json_integer_value(value);

	if ((!json_is_integer(value) || slot < 0 || slot > 32) && !r->bad)
		r->bad = key;
	*ret_slot = (unsigned)slot;
}

/* Records of the first version do not have these. */
static void read_later_fields(struct reader *r, struct volume_record *record)
{
	if (json_object_get(r->root, "claim"))
		read_text(r, "claim", record->claim, sizeof(record->claim));
	if (json_object_get(r->root, "keyChanged"))
		read_text(r, "keyChanged", record->key_changed, sizeof(record->key_changed));
	if (json_object_get(r->root, "keyChanging"))
		read_flag(r, "keyChanging", &record->key_changing);
	if (json_object_get(r->root, "reencrypting"))
		read_flag(r, "reencrypting", &record->reencrypting);
	if (json_object_get(r->root, "reencryptEnding"))
		read_flag(r, "reencryptEnding", &record->reencrypt_ending);
	if (json_object_get(r->root, "keyRemoving"))
		read_slot(r, "keyRemoving", &record->key_removing);
}

static void read_bytes(struct reader *r, const char *key, uint64_t *ret_bytes)
{
	const json_t *value = json_object_get(r->root, key);

	if ((!json_is_integer(value) || json_integer_value(value) < 0) && !r->bad)
		r->bad = key;
	*ret_bytes = (uint64_t)json_integer_value(value);
}

bool volume_state_from_name(const char *name, enum volume_state *ret_state)
{
	for (size_t i = 0; name && i < ARRAY_LEN(state_names); i++) {
		if (strcmp(state_names[i], name) == 0) {
			*ret_state = (enum volume_state)i;
			return true;
		}
	}
	return false;
}

static void read_state(struct reader *r, enum volume_state *ret_state)
{
	const char *text = json_string_value(json_object_get(r->root, "state"));

	if (!volume_state_from_name(text, ret_state) && !r->bad)
		r->bad = "state";
}

static bool is_uuid(const char *text)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(text) != strlen(shape))
		return false;
	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == '-' ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
			return false;
	return true;
}

/* Rules between fields: what a state promises must be there. */
static const char *find_contradiction(const struct volume_record *r)
{
	bool local = params_backend(&r->params) == BACKEND_LOCAL;
	bool has_uuid = local && (r->state == VOLUME_FORMATTING || r->state == VOLUME_FORMATTED);

	if (has_uuid && !is_uuid(r->luks_uuid))
		return "luksUUID";
	if (*r->luks_uuid && !is_uuid(r->luks_uuid))
		return "luksUUID";
	if (*r->fs_uuid && !is_uuid(r->fs_uuid))
		return "fsUUID";
	if (r->capacity_bytes == 0)
		return "capacityBytes";
	return NULL;
}

static int refuse_field(const char *shown, const char *field, struct err *e)
{
	return err_set(e, ERR_FAILED_PRECONDITION, "'%s': field '%s' is missing or not valid",
		       shown, field);
}

int volume_record_parse(const char *text, const char *id, const char *shown,
			struct volume_record *ret_record, struct err *e)
{
	auto_json json_t *root = json_parse_object(text, shown, e);
	struct volume_record record = { 0 };
	struct reader r = { .root = root };

	if (!root)
		return -1;
	if (json_integer_value(json_object_get(root, "version")) > RECORD_VERSION)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s' was written by a newer version of this driver: upgrade this node",
			shown);
	read_text(&r, "volumeId", record.id, sizeof(record.id));
	read_text(&r, "name", record.name, sizeof(record.name));
	read_state(&r, &record.state);
	read_flag(&r, "block", &record.block);
	read_flag(&r, "adopted", &record.adopted);
	read_text(&r, "node", record.node, sizeof(record.node));
	read_bytes(&r, "capacityBytes", &record.capacity_bytes);
	read_bytes(&r, "dataOffsetBytes", &record.data_offset_bytes);
	read_text(&r, "luksUUID", record.luks_uuid, sizeof(record.luks_uuid));
	read_text(&r, "fsUUID", record.fs_uuid, sizeof(record.fs_uuid));
	read_text(&r, "created", record.created, sizeof(record.created));
	read_later_fields(&r, &record);
	if (r.bad)
		return refuse_field(shown, r.bad, e);
	if (strcmp(record.id, id) != 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s' is the record of volume '%s', not of '%s'", shown, record.id,
			       id);
	if (params_from_json(json_object_get(root, "parameters"), &record.params, e) < 0) {
		e->code = ERR_FAILED_PRECONDITION;
		return err_wrap(e, "'%s'", shown);
	}
	r.bad = find_contradiction(&record);
	if (r.bad) {
		volume_record_done(&record);
		return refuse_field(shown, r.bad, e);
	}
	*ret_record = record;
	return 0;
}
