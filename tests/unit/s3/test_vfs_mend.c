/* s3/vfs_mend: what a killed rclone left without a note is kept, with what is surely there. */
#include "s3/vfs_mend.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "base/json.h"
#include "folder.h"

static void path_of(const struct folder *folder, const char *tree, const char *name, char path[512])
{
	snprintf(path, 512, "%s/%s", folder->path, tree);
	mkdir(path, 0700);
	snprintf(path, 512, "%s/%s/c", folder->path, tree);
	mkdir(path, 0700);
	snprintf(path, 512, "%s/%s/c/%s", folder->path, tree, name);
}

static void put(const struct folder *folder, const char *tree, const char *name, const char *text,
		off_t at, off_t size)
{
	char path[512];

	path_of(folder, tree, name, path);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, strlen(text), at), (ssize_t)strlen(text));
	assert_true(size == 0 || ftruncate(fd, size) == 0);
	close(fd);
}

static void mend(const struct folder *folder, uint64_t expected)
{
	uint64_t files = 99;
	struct err e = { 0 };

	assert_int_equal(vfs_mend(folder->path, &files, &e), 0);
	assert_int_equal(files, expected);
}

/* The note as rclone would read it; `ranges` as "pos+size pos+size ". */
static void assert_note(const struct folder *folder, const char *name, int64_t size,
			const char *ranges)
{
	char path[512], found[512] = "";
	json_t *range;
	size_t i;

	path_of(folder, "vfsMeta", name, path);
	json_t *note = json_load_file(path, 0, NULL);
	assert_non_null(note);
	assert_true(json_is_true(json_object_get(note, "Dirty")));
	assert_int_equal(json_integer_value(json_object_get(note, "Size")), size);
	assert_int_equal(strlen(json_string_value(json_object_get(note, "ModTime"))),
			 strlen("2026-11-23T14:17:30.552871229Z"));
	json_array_foreach(json_object_get(note, "Rs"), i, range)
	{
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "%lld+%lld ",
			 json_integer_value(json_object_get(range, "Pos")),
			 json_integer_value(json_object_get(range, "Size")));
	}
	assert_string_equal(found, ranges);
	json_decref(note);
}

static void an_empty_note_is_made_from_the_file(void **state)
{
	struct folder folder;

	(void)state;
	folder_open(&folder);
	put(&folder, "vfs", "a", "what was synced", 0, 0);
	put(&folder, "vfsMeta", "a", "", 0, 0);
	mend(&folder, 1);
	assert_note(&folder, "a", 15, "0+15 ");
	mend(&folder, 0);
	folder_close(&folder);
}

static void half_a_note_too(void **state)
{
	struct folder folder;

	(void)state;
	folder_open(&folder);
	put(&folder, "vfs", "a", "text", 0, 0);
	put(&folder, "vfsMeta", "a", "{\n\t\"ModTime\": \"2026-11", 0, 0);
	mend(&folder, 1);
	assert_note(&folder, "a", 4, "0+4 ");
	folder_close(&folder);
}

static void what_was_never_fetched_is_left_to_s3(void **state)
{
	struct folder folder;

	(void)state;
	folder_open(&folder);
	/* Written in place into a file that is not in the cache, also within one block. */
	put(&folder, "vfs", "large", "middle", 200000, 1000000);
	put(&folder, "vfsMeta", "large", "", 0, 0);
	put(&folder, "vfs", "small", "middle", 1000, 3000);
	put(&folder, "vfsMeta", "small", "", 0, 0);
	put(&folder, "vfs", "nothing", "", 0, 50000);
	put(&folder, "vfsMeta", "nothing", "", 0, 0);
	mend(&folder, 3);
	assert_note(&folder, "large", 1000000, "200000+6 ");
	assert_note(&folder, "small", 3000, "1000+6 ");
	assert_note(&folder, "nothing", 50000, "");
	folder_close(&folder);
}

static void a_few_zeros_are_content(void **state)
{
	struct folder folder;

	(void)state;
	folder_open(&folder);
	put(&folder, "vfs", "a", "begin", 0, 0);
	put(&folder, "vfs", "a", "end", 5 + 63, 5 + 63 + 3 + 63);
	put(&folder, "vfsMeta", "a", "", 0, 0);
	mend(&folder, 1);
	assert_note(&folder, "a", 134, "0+134 ");
	folder_close(&folder);
}

static void whole_notes_and_gone_files_are_left_alone(void **state)
{
	struct folder folder;
	char path[512];
	struct stat st;

	(void)state;
	folder_open(&folder);
	mend(&folder, 0); /* no cache at all */
	put(&folder, "vfs", "a", "text", 0, 0);
	put(&folder, "vfsMeta", "a", "{\"Dirty\":false}", 0, 0);
	put(&folder, "vfsMeta", "gone", "", 0, 0);
	mend(&folder, 0);
	path_of(&folder, "vfsMeta", "a", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, strlen("{\"Dirty\":false}"));
	folder_close(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_note_is_made_from_the_file),
		cmocka_unit_test(half_a_note_too),
		cmocka_unit_test(what_was_never_fetched_is_left_to_s3),
		cmocka_unit_test(a_few_zeros_are_content),
		cmocka_unit_test(whole_notes_and_gone_files_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
