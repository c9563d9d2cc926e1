/* The room of a node: what is counted, and how it looks as a LUKSNode. */
#include "volume/node_room.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"
#include "sys/luks.h"

void node_texts_done(struct node_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->all[i]);
	free(texts->all);
}

void node_room_done(struct node_room *room)
{
	node_texts_done(&room->allowed);
	node_texts_done(&room->unknown);
	for (size_t i = 0; i < room->filesystem_count; i++) {
		free(room->filesystems[i].mount_point);
		free(room->filesystems[i].type);
	}
	free(room->filesystems);
	*room = (struct node_room){ 0 };
}

void node_texts_add(struct node_texts *texts, const char *text)
{
	texts->all = xrealloc(texts->all, (texts->count + 1) * sizeof(*texts->all));
	texts->all[texts->count++] = xstrdup(text);
}

void node_room_add_allowed(struct node_room *room, const char *path)
{
	node_texts_add(&room->allowed, path);
}

void node_room_add_unknown(struct node_room *room, const char *path)
{
	if (room->unknown.count < NODE_ROOM_UNKNOWN_MAX)
		node_texts_add(&room->unknown, path);
}

void node_room_add_filesystem(struct node_room *room, const struct node_filesystem *filesystem)
{
	if (room->filesystem_count == NODE_ROOM_FILESYSTEMS_MAX)
		return;
	room->filesystems = xrealloc(room->filesystems,
				     (room->filesystem_count + 1) * sizeof(*room->filesystems));
	struct node_filesystem *added = &room->filesystems[room->filesystem_count++];
	*added = *filesystem;
	added->mount_point = xstrdup(filesystem->mount_point);
	added->type = xstrdup(filesystem->type);
}

uint64_t node_room_of_free(uint64_t free_bytes)
{
	/* The LUKS header, its backup, and a little for the folder and record of the volume. */
	const uint64_t overhead = 2 * LUKS_HEADER_BYTES + (1 << 20);

	return free_bytes > overhead ? (free_bytes - overhead) / 4096 * 4096 : 0;
}

uint64_t node_room_free(const struct node_room *room, const char *local_path)
{
	const struct node_filesystem *nearest = NULL;
	bool allowed = room->allowed.count == 0;

	for (size_t i = 0; i < room->allowed.count; i++)
		allowed = allowed || path_is_within(local_path, room->allowed.all[i]);
	for (size_t i = 0; i < room->filesystem_count; i++) {
		const struct node_filesystem *one = &room->filesystems[i];

		if (path_is_within(local_path, one->mount_point) &&
		    (!nearest || strlen(one->mount_point) > strlen(nearest->mount_point)))
			nearest = one;
	}
	return allowed && nearest ? node_room_of_free(nearest->free_bytes) : 0;
}

uint64_t node_room_largest(const struct node_room *room)
{
	uint64_t largest = 0;

	for (size_t i = 0; i < room->allowed.count + room->filesystem_count; i++) {
		size_t rest = i - room->allowed.count;
		uint64_t here = node_room_free(room, i < room->allowed.count
							     ? room->allowed.all[i]
							     : room->filesystems[rest].mount_point);

		if (here > largest)
			largest = here;
	}
	return largest;
}

bool node_room_is_stale(const struct node_room *room, time_t now)
{
	/* Also in the future: the clocks are apart, and from then on nothing could be told. */
	return room->heartbeat == 0 || now - room->heartbeat > NODE_ROOM_STALE_SECONDS ||
	       room->heartbeat - now > NODE_ROOM_STALE_SECONDS;
}

/* "117.4Gi", rounded down: for people, as `kubectl get` shows it. */
static void shown_size(uint64_t bytes, char ret_text[32])
{
	static const char *const units[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
	size_t unit = 0;
	uint64_t rest = 0;

	for (; bytes >= 1024 && unit + 1 < ARRAY_LEN(units); unit++) {
		rest = bytes % 1024;
		bytes /= 1024;
	}
	if (unit == 0)
		snprintf(ret_text, 32, "%" PRIu64, bytes);
	else
		snprintf(ret_text, 32, "%" PRIu64 ".%" PRIu64 "%s", bytes, rest * 10 / 1024,
			 units[unit]);
}

static json_t *texts_format(const struct node_texts *texts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < texts->count; i++)
		json_array_append_new(array, json_string(texts->all[i]));
	return array;
}

static json_t *filesystems_format(const struct node_room *room)
{
	json_t *array = json_array();

	for (size_t i = 0; i < room->filesystem_count; i++) {
		const struct node_filesystem *one = &room->filesystems[i];

		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:I, s:I}", "mountPoint",
						one->mount_point, "type", one->type,
						"capacityBytes", (json_int_t)one->capacity_bytes,
						"freeBytes", (json_int_t)one->free_bytes));
	}
	return array;
}

/* Since when the node is ready, or NULL when it was not. Borrowed. */
static const char *ready_since(const json_t *before)
{
	json_t *conditions = json_object_get(json_object_get(before, "status"), "conditions");
	json_t *condition;
	size_t i;

	json_array_foreach(conditions, i, condition)
	{
		const char *type = json_string_value(json_object_get(condition, "type"));
		const char *status = json_string_value(json_object_get(condition, "status"));

		if (type && status && strcmp(type, "Ready") == 0 && strcmp(status, "True") == 0)
			return json_string_value(json_object_get(condition, "lastTransitionTime"));
	}
	return NULL;
}

json_t *node_room_status(const struct node_room *room, const json_t *before)
{
	const char *since = ready_since(before);
	char heartbeat[CLOCK_TEXT_SIZE], largest[32];

	clock_text(room->heartbeat, heartbeat);
	shown_size(node_room_largest(room), largest);
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:o, s:[{s:s, s:s, s:s, s:s, s:s}]}",
			 "driverVersion", room->driver_version, "heartbeat", heartbeat,
			 "largestFree", largest, "allowedPaths", texts_format(&room->allowed),
			 "filesystems", filesystems_format(room), "volumes",
			 (json_int_t)room->volumes, "unknownVolumes", texts_format(&room->unknown),
			 "conditions", "type", "Ready", "status", "True", "reason", "Reporting",
			 "message", "the driver runs on the node; heartbeat is its last report",
			 "lastTransitionTime", since ? since : heartbeat);
}

json_t *node_room_silence(const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	char now[CLOCK_TEXT_SIZE];

	if (!ready_since(object))
		return NULL;
	clock_utc_text(now);
	return json_pack("{s:s, s:s, s:{s:O, s:O}, s:{s:[{s:s, s:s, s:s, s:s, s:s}]}}",
			 "apiVersion", NODE_ROOM_API, "kind", NODE_ROOM_KIND, "metadata", "name",
			 json_object_get(metadata, "name"), "resourceVersion",
			 json_object_get(metadata, "resourceVersion"), "status", "conditions",
			 "type", "Ready", "status", "Unknown", "reason", "NodeSilent", "message",
			 "the node does not report any more; heartbeat is its last report",
			 "lastTransitionTime", now);
}

static void take_text(const json_t *object, const char *key, char *text, size_t size)
{
	const char *value = json_string_value(json_object_get(object, key));

	snprintf(text, size, "%s", value ? value : "");
}

static uint64_t take_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? (uint64_t)number : 0;
}

static void take_texts(struct node_room *room, const json_t *array,
		       void (*add)(struct node_room *room, const char *text))
{
	json_t *text;
	size_t i;

	json_array_foreach(array, i, text) if (json_is_string(text))
		add(room, json_string_value(text));
}

static void take_filesystems(struct node_room *room, const json_t *array)
{
	json_t *object;
	size_t i;

	json_array_foreach(array, i, object)
	{
		const char *place = json_string_value(json_object_get(object, "mountPoint"));
		const char *type = json_string_value(json_object_get(object, "type"));
		struct node_filesystem filesystem = {
			.mount_point = (char *)place,
			.type = (char *)(type ? type : ""),
			.capacity_bytes = take_number(object, "capacityBytes"),
			.free_bytes = take_number(object, "freeBytes"),
		};

		if (place)
			node_room_add_filesystem(room, &filesystem);
	}
}

void node_room_parse(const json_t *object, struct node_room *ret_room)
{
	const json_t *status = json_object_get(object, "status");
	struct node_room room = { .volumes = take_number(status, "volumes") };
	char heartbeat[CLOCK_TEXT_SIZE];

	take_text(json_object_get(object, "metadata"), "name", room.name, sizeof(room.name));
	take_text(status, "driverVersion", room.driver_version, sizeof(room.driver_version));
	take_text(status, "heartbeat", heartbeat, sizeof(heartbeat));
	if (!clock_parse(heartbeat, &room.heartbeat))
		room.heartbeat = 0;
	take_texts(&room, json_object_get(status, "allowedPaths"), node_room_add_allowed);
	take_texts(&room, json_object_get(status, "unknownVolumes"), node_room_add_unknown);
	take_filesystems(&room, json_object_get(status, "filesystems"));
	*ret_room = room;
}
