/* base/fd: files that are whole or not there, and paths that lead nowhere else. */
#include "base/fd.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

#include "folder.h"

static void atomic_write_replaces_and_leaves_no_litter(void **state)
{
	struct folder folder;
	char *text = NULL;

	(void)state;
	folder_open(&folder);
	assert_int_equal(fd_write_file_atomic(folder.fd, "a.json", "first"), 0);
	assert_int_equal(fd_write_file_atomic(folder.fd, "a.json", "second"), 0);
	assert_int_equal(fd_read_file(folder.fd, "a.json", 100, &text), 0);
	assert_string_equal(text, "second");
	assert_int_equal(folder_count(&folder), 1);
	free(text);
	folder_close(&folder);
}

static void reading_is_bounded_and_refuses_odd_files(void **state)
{
	struct folder folder;
	char *text = NULL;

	(void)state;
	folder_open(&folder);
	assert_int_equal(fd_read_file(folder.fd, "none", 100, &text), -ENOENT);
	assert_int_equal(fd_write_file_atomic(folder.fd, "f", "0123456789"), 0);
	assert_int_equal(fd_read_file(folder.fd, "f", 9, &text), -EFBIG);
	assert_int_equal(fd_read_file(folder.fd, "f", 10, &text), 0);
	free(text);
	int fd = openat(folder.fd, "nul", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "a\0b", 3), 3);
	close(fd);
	assert_int_equal(fd_read_file(folder.fd, "nul", 100, &text), -EINVAL);
	assert_int_equal(mkfifoat(folder.fd, "fifo", 0600), 0);
	assert_int_equal(fd_read_file(folder.fd, "fifo", 100, &text), -EINVAL);
	assert_int_equal(symlinkat("f", folder.fd, "link"), 0);
	assert_int_equal(fd_read_file(folder.fd, "link", 100, &text), -ELOOP);
	folder_close(&folder);
}

static void beneath_means_beneath(void **state)
{
	struct folder folder;

	(void)state;
	folder_open(&folder);
	assert_int_equal(fd_mkdirs_beneath(folder.fd, "a/b//c", 0755), 0);
	int fd = fd_open_beneath(folder.fd, "a/b/c", O_PATH | O_DIRECTORY, 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(fd_open_beneath(folder.fd, "..", O_PATH, 0), -EXDEV);
	assert_int_equal(fd_open_beneath(folder.fd, "a/../..", O_PATH, 0), -EXDEV);
	assert_int_equal(fd_open_beneath(folder.fd, "/etc", O_PATH, 0), -EXDEV);
	assert_int_equal(symlinkat("/etc", folder.fd, "out"), 0);
	assert_int_equal(fd_open_beneath(folder.fd, "out/passwd", O_RDONLY, 0), -ELOOP);
	assert_int_equal(fd_mkdirs_beneath(folder.fd, "out/x", 0755), -ELOOP);
	assert_int_equal(symlinkat("a", folder.fd, "inside"), 0);
	assert_int_equal(fd_open_beneath(folder.fd, "inside/b", O_PATH, 0), -ELOOP);
	assert_int_equal(fd_mkdirs_beneath(folder.fd, "inside/x", 0755), -ELOOP);
	folder_close(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(atomic_write_replaces_and_leaves_no_litter),
		cmocka_unit_test(reading_is_bounded_and_refuses_odd_files),
		cmocka_unit_test(beneath_means_beneath),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
