/* sys/image: backing files, whole or not there, unlinked in one place. */
#include "sys/image.h"

#include <string.h>
#include <sys/syscall.h>

#include "unit.h"

#include "folder.h"

#define MI (1ull << 20)

static unsigned syncs;

/* In the place of libc's: counts. */
int fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
}

static void an_image_is_reserved_and_blank(void **state)
{
	struct folder folder;
	struct err e = { 0 };
	struct stat st;
	bool zero;
	int fd;

	(void)state;
	folder_open(&folder);
	assert_int_equal(image_create(folder.fd, "v.img", 4 * MI, false, &e), 0);
	assert_int_equal(folder_count(&folder), 1);
	assert_int_equal(image_open(folder.fd, "v.img", O_RDWR, &fd, &e), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 4 * MI);
	assert_true((uint64_t)st.st_blocks * 512 >= 4 * MI);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(image_is_zero(fd, 0, &zero, &e), 0);
	assert_true(zero);
	assert_int_equal(pwrite(fd, "x", 1, 3 * MI - 1), 1);
	assert_int_equal(image_is_zero(fd, 0, &zero, &e), 0);
	assert_false(zero);
	assert_int_equal(image_is_zero(fd, 3 * MI - 1, &zero, &e), 0);
	assert_false(zero);
	assert_int_equal(image_is_zero(fd, 3 * MI, &zero, &e), 0);
	assert_true(zero);
	close(fd);
	folder_close(&folder);
}

static void an_existing_image_is_never_replaced(void **state)
{
	struct folder folder;
	struct err e = { 0 };
	char byte = 0;
	int fd;

	(void)state;
	folder_open(&folder);
	assert_int_equal(image_create(folder.fd, "v.img", MI, true, &e), 0);
	assert_int_equal(image_open(folder.fd, "v.img", O_RDWR, &fd, &e), 0);
	assert_int_equal(pwrite(fd, "d", 1, 0), 1);
	assert_int_equal(image_create(folder.fd, "v.img", MI, true, &e), -1);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'd');
	assert_int_equal(folder_count(&folder), 1);
	close(fd);
	folder_close(&folder);
}

static void no_room_leaves_nothing(void **state)
{
	struct folder folder;
	struct err e = { 0 };

	(void)state;
	folder_open(&folder);
	assert_int_equal(image_create(folder.fd, "v.img", 1ull << 50, true, &e), -1);
	assert_int_equal(e.code, ERR_RESOURCE_EXHAUSTED);
	assert_int_equal(folder_count(&folder), 0);
	folder_close(&folder);
}

static void growing_keeps_data_and_never_shrinks(void **state)
{
	struct folder folder;
	struct err e = { 0 };
	struct stat st;
	int fd;

	(void)state;
	folder_open(&folder);
	assert_int_equal(image_create(folder.fd, "v.img", 2 * MI, false, &e), 0);
	assert_int_equal(image_open(folder.fd, "v.img", O_RDWR, &fd, &e), 0);
	assert_int_equal(image_grow(fd, MI, false, &e), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 2 * MI);
	assert_int_equal(image_grow(fd, 3 * MI, false, &e), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 3 * MI);
	assert_int_equal(image_grow(fd, 1ull << 50, true, &e), -1);
	assert_int_equal(e.code, ERR_RESOURCE_EXHAUSTED);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 3 * MI);
	close(fd);
	folder_close(&folder);
}

/* A call was killed between growing and syncing: the next one has nothing to do but that. */
static void a_size_that_was_not_synced_is_synced(void **state)
{
	struct folder folder;
	struct err e = { 0 };
	int fd;

	(void)state;
	folder_open(&folder);
	assert_int_equal(image_create(folder.fd, "v.img", MI, false, &e), 0);
	assert_int_equal(image_open(folder.fd, "v.img", O_RDWR, &fd, &e), 0);
	for (int i = 0; i < 2; i++) {
		unsigned before = syncs;

		assert_int_equal(image_grow(fd, 2 * MI, false, &e), 0);
		assert_int_equal(syncs, before + 1);
	}
	close(fd);
	folder_close(&folder);
}

static void odd_images_are_refused(void **state)
{
	struct folder folder;
	struct err e = { 0 };
	int fd;

	(void)state;
	folder_open(&folder);
	assert_int_equal(image_open(folder.fd, "none", O_RDONLY, &fd, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(symlinkat("/etc/passwd", folder.fd, "link"), 0);
	assert_int_equal(image_open(folder.fd, "link", O_RDONLY, &fd, &e), -1);
	assert_int_equal(e.code, ERR_FAILED_PRECONDITION);
	assert_int_equal(image_create(folder.fd, "v.img", MI, true, &e), 0);
	assert_int_equal(image_open(folder.fd, "v.img", O_RDONLY, &fd, &e), 0);
	assert_int_equal(image_check_single(fd, "v.img", &e), 0);
	assert_int_equal(linkat(folder.fd, "v.img", folder.fd, "second", 0), 0);
	assert_int_equal(image_check_single(fd, "v.img", &e), -1);
	assert_int_equal(e.code, ERR_FAILED_PRECONDITION);
	assert_non_null(strstr(e.msg, "2 names"));
	close(fd);
	assert_int_equal(mkdirat(folder.fd, "dir", 0700), 0);
	assert_int_equal(image_open(folder.fd, "dir", O_RDONLY, &fd, &e), -1);
	assert_int_equal(e.code, ERR_FAILED_PRECONDITION);
	folder_close(&folder);
}

static void a_replaced_image_is_not_unlinked(void **state)
{
	struct folder folder;
	struct err e = { 0 };
	int fd;

	(void)state;
	folder_open(&folder);
	assert_int_equal(image_create(folder.fd, "v.img", MI, true, &e), 0);
	assert_int_equal(image_open(folder.fd, "v.img", O_RDWR, &fd, &e), 0);
	assert_int_equal(renameat(folder.fd, "v.img", folder.fd, "moved"), 0);
	assert_int_equal(image_create(folder.fd, "v.img", MI, true, &e), 0);
	assert_int_equal(image_unlink(folder.fd, "v.img", fd, &e), -1);
	assert_int_equal(folder_count(&folder), 2);
	assert_int_equal(image_unlink(folder.fd, "moved", fd, &e), 0);
	assert_int_equal(folder_count(&folder), 1);
	close(fd);
	folder_close(&folder);
}

static void erasing_destroys_the_head_only(void **state)
{
	struct folder folder;
	struct err e = { 0 };
	char byte = 0;
	bool zero;
	int fd;

	(void)state;
	folder_open(&folder);
	assert_int_equal(image_create(folder.fd, "v.img", 2 * MI, true, &e), 0);
	assert_int_equal(image_open(folder.fd, "v.img", O_RDWR, &fd, &e), 0);
	assert_int_equal(pwrite(fd, "LUKS", 4, 0), 4);
	assert_int_equal(pwrite(fd, "d", 1, MI), 1);
	assert_int_equal(image_erase_head(fd, MI, &e), 0);
	assert_int_equal(pread(fd, &byte, 1, MI), 1);
	assert_int_equal(byte, 'd');
	assert_int_equal(pwrite(fd, "", 1, MI), 1);
	assert_int_equal(image_is_zero(fd, 0, &zero, &e), 0);
	assert_true(zero);
	close(fd);
	folder_close(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_is_reserved_and_blank),
		cmocka_unit_test(an_existing_image_is_never_replaced),
		cmocka_unit_test(no_room_leaves_nothing),
		cmocka_unit_test(growing_keeps_data_and_never_shrinks),
		cmocka_unit_test(a_size_that_was_not_synced_is_synced),
		cmocka_unit_test(odd_images_are_refused),
		cmocka_unit_test(a_replaced_image_is_not_unlinked),
		cmocka_unit_test(erasing_destroys_the_head_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
