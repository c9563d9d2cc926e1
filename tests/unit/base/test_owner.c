/* base/owner: giving a folder to another user. */
#include "base/owner.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "folder.h"

enum { NUMBER = 47123 };

static uid_t owner_of(const char *folder, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_uid, st.st_gid);
	return st.st_uid;
}

static void make_tree(const struct folder *folder, const char *outside)
{
	assert_int_equal(mkdirat(folder->fd, "a", 0700), 0);
	assert_int_equal(mkdirat(folder->fd, "a/b", 0700), 0);
	close(openat(folder->fd, "a/b/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(symlinkat(outside, folder->fd, "a/link"), 0);
}

static void a_tree_is_given_and_given_back_and_no_link_is_followed(void **state)
{
	static const char *const names[] = { ".", "a", "a/b", "a/b/file", "a/link" };
	static const uid_t owners[] = { NUMBER, NUMBER, 0 };
	struct folder folder, outside;
	struct err e = { 0 };

	(void)state;
	folder_open(&folder);
	folder_open(&outside);
	make_tree(&folder, outside.path);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(owner_give(folder.path, owners[i], &e), 0);
		for (size_t j = 0; j < 5; j++)
			assert_int_equal(owner_of(folder.path, names[j]), owners[i]);
		assert_int_equal(owner_of(outside.path, "."), 0);
	}
	folder_close(&folder);
	folder_close(&outside);
}

static void what_an_earlier_call_left_half_done_is_finished(void **state)
{
	struct folder folder;
	struct err e = { 0 };

	(void)state;
	folder_open(&folder);
	make_tree(&folder, "/");
	assert_int_equal(chown(folder.path, NUMBER, NUMBER), 0);
	assert_int_equal(fchownat(folder.fd, "a", NUMBER, NUMBER, 0), 0);
	assert_int_equal(owner_give(folder.path, NUMBER, &e), 0);
	assert_int_equal(owner_of(folder.path, "a/b/file"), NUMBER);
	folder_close(&folder);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(owner_give("/tmp/lcw-unit-absent", NUMBER, &e), -1);
	assert_non_null(strstr(e.msg, "/tmp/lcw-unit-absent"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_is_given_and_given_back_and_no_link_is_followed),
		cmocka_unit_test(what_an_earlier_call_left_half_done_is_finished),
		cmocka_unit_test(a_folder_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
