/* store: records by id, in pages. */
#include "store/store.h"

#include <string.h>

#include "unit.h"

#include "folder.h"

static void put(struct store *store, const char *id)
{
	struct volume_record record = { .capacity_bytes = 1 << 20 };
	struct err e = { 0 };

	snprintf(record.id, sizeof(record.id), "%s", id);
	assert_int_equal(params_parse(NULL, 0, &record.params, &e), 0);
	assert_int_equal(store_put(store, &record, &e), 0);
	volume_record_done(&record);
}

static void records_come_and_go(void **state)
{
	struct volume_record record = { 0 };
	struct folder folder;
	struct err e = { 0 };

	(void)state;
	folder_open(&folder);
	struct store *store = store_dir_open(folder.path, &e);
	assert_non_null(store);
	assert_int_equal(store_get(store, "pvc-1", &record, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	put(store, "pvc-1");
	assert_int_equal(store_get(store, "pvc-1", &record, &e), 0);
	assert_string_equal(record.id, "pvc-1");
	volume_record_done(&record);
	assert_int_equal(store_remove(store, "pvc-1", &e), 0);
	assert_int_equal(store_remove(store, "pvc-1", &e), 0);
	assert_int_equal(store_get(store, "pvc-1", &record, &e), -1);
	store_close(store);
	folder_close(&folder);
}

static void pages_are_sorted_and_go_on_behind_a_deleted_id(void **state)
{
	static const char *const ids[] = { "c", "a", "d", "b" };
	struct folder folder;
	struct err e = { 0 };
	char **page;
	size_t count;
	bool more;

	(void)state;
	folder_open(&folder);
	struct store *store = store_dir_open(folder.path, &e);
	for (size_t i = 0; i < 4; i++)
		put(store, ids[i]);
	assert_int_equal(store_list(store, "", 2, &page, &count, &more, &e), 0);
	assert_int_equal(count, 2);
	assert_true(more);
	assert_string_equal(page[0], "a");
	assert_string_equal(page[1], "b");
	store_ids_free(page, count);
	assert_int_equal(store_remove(store, "b", &e), 0);
	assert_int_equal(store_list(store, "b", 2, &page, &count, &more, &e), 0);
	assert_int_equal(count, 2);
	assert_false(more);
	assert_string_equal(page[0], "c");
	store_ids_free(page, count);
	store_close(store);
	folder_close(&folder);
}

static void other_files_are_no_records(void **state)
{
	struct folder folder;
	struct err e = { 0 };
	char **page;
	size_t count;
	bool more;

	(void)state;
	folder_open(&folder);
	struct store *store = store_dir_open(folder.path, &e);
	put(store, "a");
	assert_true(openat(folder.fd, "volumes/.b.json.tmp", O_CREAT | O_WRONLY, 0600) >= 0);
	assert_true(openat(folder.fd, "volumes/notes.txt", O_CREAT | O_WRONLY, 0600) >= 0);
	assert_int_equal(store_list(store, "", 0, &page, &count, &more, &e), 0);
	assert_int_equal(count, 1);
	store_ids_free(page, count);
	store_close(store);
	folder_close(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_and_go),
		cmocka_unit_test(pages_are_sorted_and_go_on_behind_a_deleted_id),
		cmocka_unit_test(other_files_are_no_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
