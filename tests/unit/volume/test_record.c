/* volume/record: what is written is what is read, and nothing else is believed. */
#include "volume/record.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

static void make(struct volume_record *record)
{
	struct err e = { 0 };

	memset(record, 0, sizeof(*record));
	strcpy(record->id, "pvc-1");
	strcpy(record->name, "pvc-1");
	strcpy(record->node, "node-a");
	strcpy(record->luks_uuid, "3f2504e0-4f89-41d3-9a0c-0305e82c3301");
	strcpy(record->created, "2026-11-23T05:09:00Z");
	strcpy(record->key_changed, "2026-11-24T05:09:00Z");
	record->key_changing = true;
	record->key_removing = 2;
	record->reencrypting = record->reencrypt_ending = true;
	record->state = VOLUME_FORMATTED;
	record->capacity_bytes = 1 << 30;
	record->data_offset_bytes = 16 << 20;
	assert_int_equal(params_parse(NULL, 0, &record->params, &e), 0);
}

static void a_record_survives_its_text(void **state)
{
	struct volume_record record, again;
	struct err e = { 0 };

	(void)state;
	make(&record);
	char *text = volume_record_format(&record);
	assert_int_equal(volume_record_parse(text, "pvc-1", "f", &again, &e), 0);
	char *text_again = volume_record_format(&again);
	assert_string_equal(text, text_again);
	assert_int_equal(again.state, VOLUME_FORMATTED);
	assert_string_equal(again.key_changed, "2026-11-24T05:09:00Z");
	assert_true(again.key_changing);
	assert_int_equal(again.key_removing, 2);
	assert_true(again.reencrypting && again.reencrypt_ending);
	assert_true(again.capacity_bytes == 1 << 30);
	free(text);
	free(text_again);
	volume_record_done(&record);
	volume_record_done(&again);
}

/* The text of a good record with one piece replaced. */
static char *with(const char *from, const char *to)
{
	struct volume_record record;

	make(&record);
	char *text = volume_record_format(&record);
	char *at = strstr(text, from);
	assert_non_null(at);
	char *changed = calloc(1, strlen(text) + strlen(to) + 1);
	memcpy(changed, text, (size_t)(at - text));
	strcat(changed, to);
	strcat(changed, at + strlen(from));
	free(text);
	volume_record_done(&record);
	return changed;
}

static void damaged_records_are_refused(void **state)
{
	static const struct {
		const char *from, *to, *named;
	} damage[] = {
		{ "{", "", "not valid JSON" },
		{ "\"state\": \"formatted\"", "\"state\": \"formated\"", "'state'" },
		{ "\"state\": \"formatted\",", "", "'state'" },
		{ "\"luksUUID\": \"3f2504e0-4f89-41d3-9a0c-0305e82c3301\"", "\"luksUUID\": \"\"",
		  "'luksUUID'" },
		{ "3f2504e0-4f89", "3f2504e0x4f89", "'luksUUID'" },
		{ "\"capacityBytes\": 1073741824", "\"capacityBytes\": -1", "'capacityBytes'" },
		{ "\"capacityBytes\": 1073741824", "\"capacityBytes\": 0", "'capacityBytes'" },
		{ "\"capacityBytes\": 1073741824", "\"capacityBytes\": \"1\"", "'capacityBytes'" },
		{ "\"volumeId\": \"pvc-1\"", "\"volumeId\": \"pvc-2\"",
		  "record of volume 'pvc-2'" },
		{ "\"version\": 1", "\"version\": 2", "newer version" },
		{ "\"keyChanging\": true", "\"keyChanging\": 1", "'keyChanging'" },
		{ "\"keyRemoving\": 2", "\"keyRemoving\": 33", "'keyRemoving'" },
		{ "\"2026-11-24T05:09:00Z\"", "7", "'keyChanged'" },
		{ "\"block\": false", "\"block\": 0", "'block'" },
		{ "\"fsType\": \"ext4\"", "\"fsType\": \"ext9\"", "fsType" },
		{ "\"fsType\"", "\"fsTipe\"", "fsTipe" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		struct volume_record record = { 0 };
		struct err e = { 0 };
		char *text = with(damage[i].from, damage[i].to);

		assert_int_equal(volume_record_parse(text, "pvc-1", "/x/volume.json", &record, &e),
				 -1);
		assert_int_equal(e.code, ERR_FAILED_PRECONDITION);
		assert_non_null(strstr(e.msg, damage[i].named));
		assert_non_null(strstr(e.msg, "/x/volume.json"));
		free(text);
	}
}

static void a_record_of_the_first_version_is_read(void **state)
{
	struct volume_record record;
	struct err e = { 0 };

	(void)state;
	char *text = with("  \"keyChanged\": \"2026-11-24T05:09:00Z\",\n  \"keyChanging\": true,\n"
			  "  \"reencrypting\": true,\n  \"reencryptEnding\": true,\n"
			  "  \"keyRemoving\": 2,\n",
			  "");
	assert_int_equal(volume_record_parse(text, "pvc-1", "f", &record, &e), 0);
	assert_string_equal(record.key_changed, "");
	assert_false(record.key_changing);
	free(text);
	volume_record_done(&record);
}

static void a_reserved_volume_needs_no_uuid(void **state)
{
	struct volume_record record, again;
	struct err e = { 0 };

	(void)state;
	make(&record);
	record.state = VOLUME_RESERVED;
	record.luks_uuid[0] = '\0';
	char *text = volume_record_format(&record);
	assert_int_equal(volume_record_parse(text, "pvc-1", "f", &again, &e), 0);
	free(text);
	volume_record_done(&record);
	volume_record_done(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_survives_its_text),
		cmocka_unit_test(damaged_records_are_refused),
		cmocka_unit_test(a_record_of_the_first_version_is_read),
		cmocka_unit_test(a_reserved_volume_needs_no_uuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
