/* What a node can hold. */
#include "volume/node_room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "volume/luksvolume.h"

static void free_texts(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

void node_room_done(struct node_room *room)
{
	for (size_t i = 0; i < room->fs_count; i++)
		free(room->fs[i].mount_point);
	free(room->fs);
	free_texts(room->allowed, room->allowed_count);
	free_texts(room->unknown, room->unknown_count);
	*room = (struct node_room){ 0 };
}

static void add_text(char ***texts, size_t *count, const char *text)
{
	*texts = xrealloc(*texts, (*count + 1) * sizeof(**texts));
	(*texts)[(*count)++] = xstrdup(text);
}

void node_room_add_fs(struct node_room *room, const char *mount_point, const char *type,
		      uint64_t capacity_bytes, uint64_t free_bytes)
{
	room->fs = xrealloc(room->fs, (room->fs_count + 1) * sizeof(*room->fs));
	struct node_fs *fs = &room->fs[room->fs_count++];
	*fs = (struct node_fs){ .mount_point = xstrdup(mount_point),
				.capacity_bytes = capacity_bytes,
				.free_bytes = free_bytes };
	snprintf(fs->type, sizeof(fs->type), "%s", type);
}

void node_room_allow(struct node_room *room, const char *path)
{
	add_text(&room->allowed, &room->allowed_count, path);
}

void node_room_add_unknown(struct node_room *room, const char *id)
{
	add_text(&room->unknown, &room->unknown_count, id);
}

static json_t *texts_to_json(char *const *texts, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(texts[i]));
	return array;
}

static json_t *fs_to_json(const struct node_room *room)
{
	json_t *array = json_array();

	for (size_t i = 0; i < room->fs_count; i++) {
		const struct node_fs *fs = &room->fs[i];

		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:I, s:I}", "mountPoint",
						fs->mount_point, "type", fs->type, "capacityBytes",
						(json_int_t)fs->capacity_bytes, "freeBytes",
						(json_int_t)fs->free_bytes));
	}
	return array;
}

/* For people: the file system with most room, in whole Mi. */
static json_t *largest_to_json(const struct node_room *room)
{
	char text[QUANTITY_SIZE];
	uint64_t largest = 0;

	for (size_t i = 0; i < room->fs_count; i++)
		if (room->fs[i].free_bytes > largest)
			largest = room->fs[i].free_bytes;
	quantity_format(largest >> 20 << 20, text);
	return json_string(text);
}

/* A node that can report is ready; that one is not is seen by its heartbeat. */
static json_t *conditions_to_json(const struct node_room *room, const json_t *before)
{
	const json_t *old = json_array_get(json_object_get(before, "conditions"), 0);
	const char *since = json_string_value(json_object_get(old, "lastTransitionTime"));

	return json_pack("[{s:s, s:s, s:s, s:s, s:s}]", "type", "Ready", "status", "True", "reason",
			 "Reporting", "message", "the driver of the node reports",
			 "lastTransitionTime", since ? since : room->heartbeat);
}

json_t *node_room_status(const struct node_room *room, const json_t *before)
{
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "driverVersion", room->version,
			 "heartbeat", room->heartbeat, "volumes", (json_int_t)room->volumes, "free",
			 largest_to_json(room), "allowedPaths",
			 texts_to_json(room->allowed, room->allowed_count), "filesystems",
			 fs_to_json(room), "unknownVolumes",
			 texts_to_json(room->unknown, room->unknown_count), "conditions",
			 conditions_to_json(room, before));
}

static void take_text(const json_t *object, const char *key, char *ret_text, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text && strlen(text) < size && text_is_clean(text))
		memcpy(ret_text, text, strlen(text) + 1);
}

static uint64_t bytes_of(const json_t *object, const char *key)
{
	json_int_t bytes = json_integer_value(json_object_get(object, key));

	return bytes > 0 ? (uint64_t)bytes : 0;
}

void node_room_parse(const json_t *object, struct node_room *ret_room)
{
	const json_t *status = json_object_get(object, "status"), *value;
	size_t at;

	*ret_room = (struct node_room){ 0 };
	take_text(json_object_get(object, "metadata"), "name", ret_room->node,
		  sizeof(ret_room->node));
	take_text(status, "driverVersion", ret_room->version, sizeof(ret_room->version));
	take_text(status, "heartbeat", ret_room->heartbeat, sizeof(ret_room->heartbeat));
	ret_room->volumes = bytes_of(status, "volumes");
	json_array_foreach(json_object_get(status, "allowedPaths"), at, value)
	{
		if (json_is_string(value))
			node_room_allow(ret_room, json_string_value(value));
	}
	json_array_foreach(json_object_get(status, "unknownVolumes"), at, value)
	{
		if (json_is_string(value))
			node_room_add_unknown(ret_room, json_string_value(value));
	}
	json_array_foreach(json_object_get(status, "filesystems"), at, value)
	{
		const char *mount_point = json_string_value(json_object_get(value, "mountPoint"));
		const char *type = json_string_value(json_object_get(value, "type"));

		if (mount_point && type)
			node_room_add_fs(ret_room, mount_point, type,
					 bytes_of(value, "capacityBytes"),
					 bytes_of(value, "freeBytes"));
	}
}

uint64_t node_room_of(uint64_t free_bytes)
{
	/* The LUKS header, its backup, and a little for the folder and record of the volume. */
	uint64_t overhead = 2 * LUKS_HEADER_BYTES + (1 << 20);

	return free_bytes > overhead ? (free_bytes - overhead) / 4096 * 4096 : 0;
}

uint64_t node_room_free(const struct node_room *room, const char *local_path)
{
	const struct node_fs *found = NULL;
	bool allowed = room->allowed_count == 0;

	for (size_t i = 0; i < room->allowed_count; i++)
		allowed |= path_is_within(local_path, room->allowed[i]);
	for (size_t i = 0; i < room->fs_count && allowed; i++) {
		const struct node_fs *fs = &room->fs[i];
		bool covers = strcmp(fs->mount_point, "/") == 0 ||
			      path_is_within(local_path, fs->mount_point);

		/* Of two at one place the later one was mounted over the other. */
		if (covers && (!found || strlen(fs->mount_point) >= strlen(found->mount_point)))
			found = fs;
	}
	return found ? node_room_of(found->free_bytes) : 0;
}

bool node_room_is_stale(const struct node_room *room, time_t now)
{
	struct tm utc = { 0 };
	const char *end = strptime(room->heartbeat, "%Y-%m-%dT%H:%M:%SZ", &utc);

	if (!end || *end)
		return true;
	return now - timegm(&utc) > NODE_SILENT_S;
}
