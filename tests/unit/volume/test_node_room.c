/* volume/node_room: what a node can hold, as a LUKSNode. */
#include "volume/node_room.h"

#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "sys/luks.h"
#include "unit.h"

#define GI (1ull << 30)
#define NOON ((time_t)1795435200)
#define NOON_TEXT "2026-11-23T12:00:00Z"
/* Two headers and 1 MiB: nothing fits into less. */
#define OVERHEAD (2ull * LUKS_HEADER_BYTES + (1 << 20))

static void fill(struct node_room *room)
{
	const struct node_filesystem filesystems[] = {
		{ (char *)"/", (char *)"ext4", 40 * GI, 10 * GI + OVERHEAD },
		{ (char *)"/data", (char *)"xfs", 100 * GI, 90 * GI + OVERHEAD + 4095 },
		{ (char *)"/data/full", (char *)"btrfs", GI, OVERHEAD },
	};

	*room = (struct node_room){
		.name = "node-a", .driver_version = "1.2.3", .heartbeat = NOON, .volumes = 7
	};
	for (size_t i = 0; i < ARRAY_LEN(filesystems); i++)
		node_room_add_filesystem(room, &filesystems[i]);
	node_room_add_unknown(room, "/data/volumes/lost");
}

static void the_nearest_mount_counts(void **state)
{
	auto_node_room struct node_room room = { 0 };

	(void)state;
	assert_int_equal(node_room_free(&room, "/data"), 0);
	assert_int_equal(node_room_largest(&room), 0);
	fill(&room);
	assert_int_equal(node_room_free(&room, "/opt/volumes"), 10 * GI);
	assert_int_equal(node_room_free(&room, "/data"), 90 * GI);
	assert_int_equal(node_room_free(&room, "/data/volumes"), 90 * GI);
	assert_int_equal(node_room_free(&room, "/database"), 10 * GI);
	assert_int_equal(node_room_free(&room, "/data/full/x"), 0);
	assert_int_equal(node_room_free(&room, "/data/fuller"), 90 * GI);
	assert_int_equal(node_room_largest(&room), 90 * GI);
}

static void nothing_is_free_outside_of_the_allowed_paths(void **state)
{
	auto_node_room struct node_room room = { 0 };

	(void)state;
	fill(&room);
	node_room_add_allowed(&room, "/srv/volumes");
	assert_int_equal(node_room_free(&room, "/srv/volumes/a"), 10 * GI);
	assert_int_equal(node_room_free(&room, "/srv/volumes2"), 0);
	assert_int_equal(node_room_free(&room, "/srv"), 0);
	assert_int_equal(node_room_free(&room, "/data"), 0);
	/* An allowed path that is no mount point counts. */
	assert_int_equal(node_room_largest(&room), 10 * GI);
	node_room_add_allowed(&room, "/data");
	assert_int_equal(node_room_largest(&room), 90 * GI);
}

static void headers_are_deducted(void **state)
{
	(void)state;
	assert_int_equal(node_room_of_free(0), 0);
	assert_int_equal(node_room_of_free(OVERHEAD), 0);
	assert_int_equal(node_room_of_free(OVERHEAD + 4095), 0);
	assert_int_equal(node_room_of_free(OVERHEAD + 4097), 4096);
}

static void a_silent_node_is_stale(void **state)
{
	struct node_room room = { .heartbeat = NOON };

	(void)state;
	assert_false(node_room_is_stale(&room, NOON));
	assert_false(node_room_is_stale(&room, NOON + 300));
	assert_true(node_room_is_stale(&room, NOON + 301));
	/* Its clock is ahead of ours. */
	assert_false(node_room_is_stale(&room, NOON - 60));
	assert_false(node_room_is_stale(&room, NOON - 300));
	assert_true(node_room_is_stale(&room, NOON - 301));
	room.heartbeat = 0;
	assert_true(node_room_is_stale(&room, 0));
}

static json_t *as_object(const struct node_room *room, const json_t *before)
{
	return json_pack("{s:{s:s}, s:o}", "metadata", "name", room->name, "status",
			 node_room_status(room, before));
}

static void what_is_written_is_read(void **state)
{
	auto_node_room struct node_room room = { 0 }, again = { 0 };

	(void)state;
	fill(&room);
	node_room_add_allowed(&room, "/data");
	auto_json json_t *object = as_object(&room, NULL);
	node_room_parse(object, &again);
	assert_string_equal(again.name, "node-a");
	assert_string_equal(again.driver_version, "1.2.3");
	assert_true(again.heartbeat == NOON);
	assert_int_equal(again.volumes, 7);
	assert_int_equal(again.allowed.count, 1);
	assert_string_equal(again.allowed.all[0], "/data");
	assert_int_equal(again.unknown.count, 1);
	assert_string_equal(again.unknown.all[0], "/data/volumes/lost");
	assert_int_equal(again.filesystem_count, 3);
	assert_string_equal(again.filesystems[1].mount_point, "/data");
	assert_string_equal(again.filesystems[1].type, "xfs");
	assert_int_equal(again.filesystems[1].capacity_bytes, 100 * GI);
	assert_int_equal(again.filesystems[1].free_bytes, 90 * GI + OVERHEAD + 4095);
}

static const char *text_at(const json_t *status, const char *key)
{
	return json_string_value(json_object_get(status, key));
}

static void the_status_is_for_people_too(void **state)
{
	auto_node_room struct node_room room = { 0 };

	(void)state;
	fill(&room);
	auto_json json_t *status = node_room_status(&room, NULL);
	assert_string_equal(text_at(status, "largestFree"), "90.0Gi");
	assert_string_equal(text_at(status, "heartbeat"), NOON_TEXT);
	room.filesystems[1].free_bytes = OVERHEAD + 1536 * GI + GI / 2;
	auto_json json_t *larger = node_room_status(&room, NULL);
	assert_string_equal(text_at(larger, "largestFree"), "1.5Ti");
	room.filesystem_count = 0;
	auto_json json_t *empty = node_room_status(&room, NULL);
	assert_string_equal(text_at(empty, "largestFree"), "0");
	room.filesystem_count = 3;
}

/* The lastTransitionTime of the one condition, after `status` was there before. */
static void since_is(const char *ready, const char *wanted)
{
	auto_node_room struct node_room room = { 0 };
	auto_json json_t *before =
		json_pack("{s:{s:[{s:s, s:s}, {s:s, s:s, s:s}]}}", "status", "conditions", "type",
			  "Other", "status", "True", "type", "Ready", "status", ready,
			  "lastTransitionTime", "2026-01-02T03:04:05Z");

	fill(&room);
	auto_json json_t *status = node_room_status(&room, before);
	json_t *conditions = json_object_get(status, "conditions");
	assert_int_equal(json_array_size(conditions), 1);
	const json_t *condition = json_array_get(conditions, 0);
	assert_string_equal(text_at(condition, "type"), "Ready");
	assert_string_equal(text_at(condition, "status"), "True");
	assert_string_equal(text_at(condition, "lastTransitionTime"), wanted);
}

static void a_condition_that_stays_keeps_its_time(void **state)
{
	(void)state;
	since_is("True", "2026-01-02T03:04:05Z");
	since_is("False", NOON_TEXT);
}

static void strange_objects_are_empty(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"metadata\": 1, \"status\": []}",
		("{\"status\": {\"heartbeat\": 7, \"volumes\": \"x\", \"allowedPaths\": {}, "
		 "\"unknownVolumes\": [1], \"filesystems\": [1, {}, {\"type\": \"xfs\"}]}}"),
		"{\"status\": {\"heartbeat\": \"2026-11-23 12:00\", \"volumes\": -4}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		auto_node_room struct node_room room = { .volumes = 9 };
		struct err e = { 0 };
		auto_json json_t *object = json_parse_object(texts[i], "test", &e);

		assert_non_null(object);
		node_room_parse(object, &room);
		assert_true(room.heartbeat == 0);
		assert_int_equal(room.volumes, 0);
		assert_int_equal(room.filesystem_count + room.allowed.count + room.unknown.count,
				 0);
		assert_true(node_room_is_stale(&room, NOON));
	}
}

static void lists_end_at_the_limits_of_the_schema(void **state)
{
	const struct node_filesystem one = { (char *)"/", (char *)"ext4", 1, 1 };
	auto_node_room struct node_room room = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++) {
		node_room_add_filesystem(&room, &one);
		node_room_add_unknown(&room, "/x");
	}
	assert_int_equal(room.filesystem_count, 64);
	assert_int_equal(room.unknown.count, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nearest_mount_counts),
		cmocka_unit_test(nothing_is_free_outside_of_the_allowed_paths),
		cmocka_unit_test(headers_are_deducted),
		cmocka_unit_test(a_silent_node_is_stale),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(the_status_is_for_people_too),
		cmocka_unit_test(a_condition_that_stays_keeps_its_time),
		cmocka_unit_test(strange_objects_are_empty),
		cmocka_unit_test(lists_end_at_the_limits_of_the_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
