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

/* What an rclone that is not itself might leave for root to follow. */
static void assert_refused(const struct folder *folder)
{
	uint64_t files;
	struct err e = { 0 };

	assert_int_equal(vfs_mend(folder->path, &files, &e), -1);
	assert_non_null(strstr(e.msg, folder->path));
	assert_null(strstr(e.msg, "precious")); /* names are the user's */
}

static void a_link_leads_nowhere(void **state)
{
	static const char *const places[] = { "vfs", "vfsMeta" };
	struct folder outside, folder;
	char from[512], to[512];
	struct stat before, after;

	(void)state;
	folder_open(&outside);
	put(&outside, "vfs", "precious", "", 0, 0);
	snprintf(to, sizeof(to), "%s/vfs/c", outside.path);
	assert_int_equal(fstatat(outside.fd, "vfs/c/precious", &before, 0), 0);
	for (size_t i = 0; i < 2; i++) {
		/* A folder exchanged for a link to one that has a file of the same name. */
		folder_open(&folder);
		put(&folder, "vfs", "a", "", 0, 0);
		put(&folder, "vfsMeta", "a", "", 0, 0);
		put(&folder, "vfsMeta", "precious", "", 0, 0);
		snprintf(from, sizeof(from), "%s/%s/c", folder.path, places[i]);
		char aside[600];
		snprintf(aside, sizeof(aside), "%s-aside", from);
		assert_int_equal(rename(from, aside), 0);
		assert_int_equal(symlink(to, from), 0);
		assert_refused(&folder);
		folder_close(&folder);
		/* The file itself. */
		folder_open(&folder);
		put(&folder, "vfs", "a", "", 0, 0);
		put(&folder, "vfsMeta", "precious", "", 0, 0);
		snprintf(from, sizeof(from), "%s/%s/c/precious", folder.path, places[i]);
		unlink(from);
		snprintf(aside, sizeof(aside), "%s/precious", to);
		assert_int_equal(symlink(aside, from), 0);
		assert_refused(&folder);
		folder_close(&folder);
	}
	assert_int_equal(fstatat(outside.fd, "vfs/c/precious", &after, 0), 0);
	assert_int_equal(after.st_size, 0);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	folder_close(&outside);
}

static void a_pipe_does_not_hold_us(void **state)
{
	struct folder folder;
	char path[512];

	(void)state;
	folder_open(&folder);
	put(&folder, "vfsMeta", "a", "", 0, 0);
	path_of(&folder, "vfs", "a", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(&folder);
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
		cmocka_unit_test(a_link_leads_nowhere),
		cmocka_unit_test(a_pipe_does_not_hold_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
