/* s3/vfs_meta: what of a cache is not uploaded; unknown is never zero. */
#include "s3/vfs_meta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "folder.h"

static void write_note(const char *base, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/vfsMeta", base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/vfsMeta/c", base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/vfsMeta/c/%s", base, name);
	FILE *note = fopen(path, "w");
	assert_non_null(note);
	fputs(text, note);
	fclose(note);
}

static void assert_dirty(const char *base, uint64_t files, uint64_t bytes)
{
	uint64_t found_files, found_bytes;
	struct err e = { 0 };

	assert_int_equal(vfs_meta_dirty(base, &found_files, &found_bytes, &e), 0);
	assert_int_equal(found_files, files);
	assert_int_equal(found_bytes, bytes);
}

static void dirty_files_are_counted_and_clean_ones_not(void **state)
{
	struct folder folder;

	(void)state;
	folder_open(&folder);
	const char *base = folder.path;

	assert_dirty(base, 0, 0);
	write_note(base, "clean", "{\"Size\":7,\"Dirty\":false}");
	assert_dirty(base, 0, 0);
	write_note(base, "one", "{\"Size\":5,\"Dirty\":true}");
	write_note(base, "two", "{\"Size\":6,\"Dirty\":true}");
	assert_dirty(base, 2, 11);
	folder_close(&folder);
}

static void a_note_that_is_not_understood_is_dirty(void **state)
{
	struct folder folder;

	(void)state;
	folder_open(&folder);
	const char *base = folder.path;

	write_note(base, "empty", "");
	write_note(base, "cut", "{\"Size\":5,\"Di");
	write_note(base, "silent", "{\"Size\":5}");
	assert_dirty(base, 3, 5);
	folder_close(&folder);
}

static void assert_unknown(const char *base)
{
	uint64_t files, bytes;
	struct err e = { 0 };

	assert_int_equal(vfs_meta_dirty(base, &files, &bytes, &e), -1);
}

/* A cache whose notes were put elsewhere would count as drained, and be destroyed. */
static void what_rclone_does_not_make_is_not_nothing(void **state)
{
	static const char *const links[] = { "vfsMeta", "vfsMeta/c", "vfsMeta/c/one" };
	struct folder folder;
	char path[128], aside[128];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		folder_open(&folder);
		write_note(folder.path, "one", "{\"Size\":5,\"Dirty\":false}");
		assert_dirty(folder.path, 0, 0);
		snprintf(path, sizeof(path), "%s/%s", folder.path, links[i]);
		snprintf(aside, sizeof(aside), "%s/aside", folder.path);
		assert_int_equal(rename(path, aside), 0);
		assert_int_equal(symlink("aside", path), 0);
		assert_unknown(folder.path);
		folder_close(&folder);
	}
	folder_open(&folder);
	write_note(folder.path, "one", "{\"Size\":5,\"Dirty\":false}");
	snprintf(path, sizeof(path), "%s/vfsMeta/pipe", folder.path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_unknown(folder.path);
	assert_int_equal(unlink(path), 0);
	assert_dirty(folder.path, 0, 0);
	folder_close(&folder);
	assert_unknown(folder.path); /* no cache is not an empty one */
}

static void notes_are_found_at_any_depth(void **state)
{
	struct folder folder;
	char name[256] = "", path[512];

	(void)state;
	folder_open(&folder);
	write_note(folder.path, "top", "{\"Size\":1,\"Dirty\":true}");
	for (int depth = 0; depth < 40; depth++) {
		snprintf(name + strlen(name), sizeof(name) - strlen(name), "d%d/", depth);
		snprintf(path, sizeof(path), "%s/vfsMeta/c/%s", folder.path, name);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	snprintf(name + strlen(name), sizeof(name) - strlen(name), "deep");
	write_note(folder.path, name, "{\"Size\":2,\"Dirty\":true}");
	assert_dirty(folder.path, 2, 3);
	folder_close(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dirty_files_are_counted_and_clean_ones_not),
		cmocka_unit_test(a_note_that_is_not_understood_is_dirty),
		cmocka_unit_test(what_rclone_does_not_make_is_not_nothing),
		cmocka_unit_test(notes_are_found_at_any_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
