/* lcw volume list | show: what the store knows, and what the node sees. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/node.h"
#include "engine/condition.h"
#include "engine/s3.h"

static const char *type_of(const struct volume_record *record)
{
	if (params_backend(&record->params) == BACKEND_S3)
		return "s3";
	return record->block ? "block" : fs_type_name(params_fs_type(&record->params));
}

static json_t *volume_json(const struct volume_record *record, const struct condition *condition)
{
	auto_free char *text = volume_record_format(record);
	struct err ignored;
	json_t *volume = json_parse_object(text, "record", &ignored);

	json_object_set_new(volume, "abnormal", json_boolean(condition->abnormal));
	json_object_set_new(volume, "condition", json_string(condition->message));
	return volume;
}

static void print_row(const struct volume_record *record, const struct condition *condition)
{
	printf("%-44s %-10s %-6s %14" PRIu64 " %-16s %s%s\n", record->id,
	       volume_state_name(record->state), type_of(record), record->capacity_bytes,
	       record->node, condition->abnormal ? "ABNORMAL: " : "", condition->message);
}

/* Adds one volume to the output. A damaged record is told and does not hide the others. */
static bool list_one(struct store *store, const struct node *node, const char *id, json_t *list)
{
	auto_record struct volume_record record = { 0 };
	struct condition condition;
	struct err e = { 0 };

	if (store_get(store, id, &record, &e) < 0) {
		fprintf(stderr, "lcw: %s\n", e.msg);
		return false;
	}
	condition_look(node, &record, &condition);
	if (list)
		json_array_append_new(list, volume_json(&record, &condition));
	else
		print_row(&record, &condition);
	return true;
}

int ctl_volume_list(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	char **ids = NULL;
	size_t id_count = 0;
	bool more, all = true;

	(void)words;
	if (ctl_node_open(ctl, &node, e) < 0 ||
	    store_list(node.store, "", 0, &ids, &id_count, &more, e) < 0)
		return -1;
	auto_json json_t *list = ctl->output == CTL_JSON ? json_array() : NULL;
	if (ctl->output == CTL_TABLE)
		printf("%-44s %-10s %-6s %14s %-16s %s\n", "VOLUME", "STATE", "TYPE", "BYTES",
		       "NODE", "CONDITION");
	for (size_t i = 0; i < id_count; i++)
		if (ctl->output == CTL_NAME)
			puts(ids[i]);
		else
			all = list_one(node.store, &node.node, ids[i], list) && all;
	store_ids_free(ids, id_count);
	if (list) {
		auto_free char *text = json_text(list);
		fputs(text, stdout);
	}
	return all ? CTL_OK : CTL_FAILED;
}

/* What waits for S3, where there is an answer: a volume with a cache, staged on this node. */
struct uploads {
	bool asked, known;
	struct s3_queue queue;
	struct err why; /* it is not known */
};

static void look_at_uploads(const struct node *node, const struct volume_record *record,
			    struct uploads *ret_uploads)
{
	memset(ret_uploads, 0, sizeof(*ret_uploads));
	ret_uploads->asked = s3_has_queue(node, record);
	ret_uploads->known = ret_uploads->asked && s3_queue_look(node, record, &ret_uploads->queue,
								 &ret_uploads->why) == 0;
}

/* Unknown is null, and never nothing. */
static void add_uploads(json_t *volume, const struct uploads *uploads)
{
	const struct s3_queue *queue = &uploads->queue;

	if (!uploads->asked)
		return;
	json_object_set_new(volume, "uploads",
			    !uploads->known ? json_null()
					    : json_pack("{s:I, s:I, s:I, s:I, s:s}", "files",
							(json_int_t)queue->files, "bytes",
							(json_int_t)queue->bytes, "uploading",
							(json_int_t)queue->uploading, "cacheBytes",
							(json_int_t)queue->cache_bytes, "lastError",
							queue->error));
}

static void print_uploads(const struct uploads *uploads)
{
	const struct s3_queue *queue = &uploads->queue;

	if (!uploads->asked)
		return;
	if (!uploads->known) {
		printf("uploads    not known: %s\n", uploads->why.msg);
		return;
	}
	printf("uploads    %" PRIu64 " files with %" PRIu64 " bytes wait for S3, %" PRIu64
	       " of them are being uploaded\ncache      %" PRIu64 " bytes\n",
	       queue->files, queue->bytes, queue->uploading, queue->cache_bytes);
	if (*queue->error)
		printf("last error %s\n", queue->error);
}

/* When the passphrase was set, and how many days ago. */
static void key_age(const struct volume_record *record, char ret_text[96])
{
	time_t changed;

	if (!clock_parse(record->key_changed, &changed)) {
		snprintf(ret_text, 96, "set at an unknown time");
		return;
	}
	long days = (long)((time(NULL) - changed) / (24 * 60 * 60));
	snprintf(ret_text, 96, "set %s (%ld day%s ago)%s", record->key_changed, days,
		 days == 1 ? "" : "s", record->key_changing ? ", being changed" : "");
}

int ctl_volume_show(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	auto_record struct volume_record record = { 0 };
	struct condition condition;
	struct uploads uploads;
	bool stored;

	if (ctl_node_open(ctl, &node, e) < 0 ||
	    ctl_find_volume(ctl, &node, words[0], &record, &stored, e) < 0)
		return -1;
	condition_look(&node.node, &record, &condition);
	look_at_uploads(&node.node, &record, &uploads);
	if (ctl->output == CTL_JSON) {
		auto_json json_t *volume = volume_json(&record, &condition);
		add_uploads(volume, &uploads);
		auto_free char *text = json_text(volume);
		fputs(text, stdout);
		return CTL_OK;
	}
	char age[96];

	key_age(&record, age);
	printf("volume     %s\nstate      %s\ntype       %s\nbytes      %" PRIu64
	       "\nnode       %s\nLUKS UUID  %s\ncreated    %s\nkey        %s\ncondition  %s%s\n",
	       record.id, volume_state_name(record.state), type_of(&record), record.capacity_bytes,
	       record.node, record.luks_uuid, record.created, age,
	       condition.abnormal ? "ABNORMAL: " : "", condition.message);
	print_uploads(&uploads);
	for (int i = 0; i < PARAM_COUNT; i++)
		if (record.params.value[i])
			printf("parameter  %s: %s\n", param_rules[i].key, record.params.value[i]);
	return CTL_OK;
}
