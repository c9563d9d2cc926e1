/* sys/luks_backup: with the real libcryptsetup, on plain files. */
#include "sys/luks_backup.h"

#include "unit.h"

#include "luks_image.h"
#include "sys/luks_header.h"
#include "sys/luks_keys.h"

static enum luks_backup_state look(const struct folder *folder, int image, bool every_byte)
{
	enum luks_backup_state state;
	struct err e = { 0 };

	if (luks_backup_look(folder->fd, image, every_byte, &state, &e) < 0)
		fail_msg("%s", e.msg);
	return state;
}

static void write_backup(const struct folder *folder, int image)
{
	struct err e = { 0 };

	if (luks_backup_write(folder->fd, image, &e) < 0)
		fail_msg("%s", e.msg);
}

static void a_backup_is_made_whole_and_private(void **state)
{
	struct folder folder;
	struct stat st;

	(void)state;
	folder_open(&folder);
	int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
	assert_int_equal(look(&folder, image, false), LUKS_BACKUP_MISSING);
	write_backup(&folder, image);
	assert_int_equal(look(&folder, image, true), LUKS_BACKUP_CURRENT);
	assert_int_equal(fstatat(folder.fd, LUKS_BACKUP_NAME, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(folder_count(&folder), 2);
	close(image);
	folder_close(&folder);
}

static void a_damaged_header_comes_back_from_it(void **state)
{
	struct folder folder;
	struct err e = { 0 };

	(void)state;
	folder_open(&folder);
	int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
	write_backup(&folder, image);
	assert_int_equal(image_erase_head(image, LUKS_HEADER_BYTES, &e), 0);
	assert_false(luks_image_opens(image, "one"));
	if (luks_backup_restore(folder.fd, image, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(luks_image_opens(image, "one"));
	assert_int_equal(look(&folder, image, true), LUKS_BACKUP_CURRENT);
	close(image);
	folder_close(&folder);
}

static void the_backup_is_compared_with_the_header(void **state)
{
	auto_secret struct secret *one = secret_of("one");
	auto_secret struct secret *two = secret_of("two");
	struct folder folder, other;
	struct err e = { 0 };
	char path[64];
	int slot;

	(void)state;
	folder_open(&folder);
	folder_open(&other);
	int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
	write_backup(&folder, image);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
	assert_int_equal(luks_key_add(path, &luks_image_params, one, two, &slot, &e), 0);
	assert_int_equal(look(&folder, image, false), LUKS_BACKUP_STALE);

	int foreign = luks_image_make(&other, "99999999-2222-4333-8444-555555555555", "one");
	assert_int_equal(look(&folder, foreign, false), LUKS_BACKUP_FOREIGN);

	write_backup(&folder, image);
	int backup = openat(folder.fd, LUKS_BACKUP_NAME, O_RDWR);
	luks_image_damage(backup, 1 << 20); /* a keyslot */
	assert_int_equal(look(&folder, image, false), LUKS_BACKUP_CURRENT);
	assert_int_equal(look(&folder, image, true), LUKS_BACKUP_STALE);
	luks_image_damage(backup, IN_PRIMARY);
	assert_int_equal(look(&folder, image, false), LUKS_BACKUP_DAMAGED);
	assert_int_equal(ftruncate(backup, 0), 0);
	assert_int_equal(look(&folder, image, false), LUKS_BACKUP_DAMAGED);
	close(backup);
	close(foreign);
	close(image);
	folder_close(&other);
	folder_close(&folder);
}

static void nothing_is_learnt_from_a_damaged_header(void **state)
{
	enum luks_backup_state found;
	struct folder folder;
	struct err e = { 0 };

	(void)state;
	folder_open(&folder);
	int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
	write_backup(&folder, image);
	luks_image_damage(image, IN_PRIMARY);
	assert_int_equal(luks_backup_look(folder.fd, image, false, &found, &e), -1);
	assert_int_equal(luks_backup_write(folder.fd, image, &e), -1);
	assert_int_equal(folder_count(&folder), 2);
	luks_image_damage(image, IN_PRIMARY);
	assert_int_equal(look(&folder, image, true), LUKS_BACKUP_CURRENT);
	close(image);
	folder_close(&folder);
}

/* Hard links stand for whoever got hold of the old blocks. */
static void an_old_backup_opens_nothing(void **state)
{
	struct folder folder;
	struct err e = { 0 };

	(void)state;
	folder_open(&folder);
	int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
	write_backup(&folder, image);
	assert_int_equal(linkat(folder.fd, LUKS_BACKUP_NAME, folder.fd, "first", 0), 0);
	int first = openat(folder.fd, "first", O_RDONLY);
	assert_true(luks_image_opens(first, "one"));
	write_backup(&folder, image);
	assert_false(luks_image_opens(first, "one"));

	assert_int_equal(linkat(folder.fd, LUKS_BACKUP_NAME, folder.fd, "second", 0), 0);
	int second = openat(folder.fd, "second", O_RDONLY);
	assert_true(luks_image_opens(second, "one"));
	assert_int_equal(luks_backup_destroy(folder.fd, &e), 0);
	assert_false(luks_image_opens(second, "one"));
	assert_int_equal(look(&folder, image, false), LUKS_BACKUP_MISSING);
	assert_int_equal(luks_backup_destroy(folder.fd, &e), 0);
	assert_true(luks_image_opens(image, "one"));
	close(second);
	close(first);
	close(image);
	folder_close(&folder);
}

/* A crash leaves a new one that is not in its place, or an old one that is not destroyed. */
static void what_a_crash_left_is_destroyed(void **state)
{
	struct folder folder;
	struct err e = { 0 };

	(void)state;
	folder_open(&folder);
	int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
	write_backup(&folder, image);
	assert_int_equal(renameat(folder.fd, LUKS_BACKUP_NAME, folder.fd,
				  "." LUKS_BACKUP_NAME ".tmp"),
			 0);
	int left = openat(folder.fd, "." LUKS_BACKUP_NAME ".tmp", O_RDONLY);
	write_backup(&folder, image);
	assert_false(luks_image_opens(left, "one"));
	assert_int_equal(folder_count(&folder), 2);
	assert_int_equal(linkat(folder.fd, LUKS_BACKUP_NAME, folder.fd, "." LUKS_BACKUP_NAME ".tmp",
				0),
			 0);
	assert_int_equal(luks_backup_sweep(folder.fd, &e), 0);
	assert_int_equal(folder_count(&folder), 2);
	assert_int_equal(luks_backup_destroy(folder.fd, &e), 0);
	assert_int_equal(folder_count(&folder), 1);
	close(left);
	close(image);
	folder_close(&folder);
}

static void one_copy_brings_back_the_other(void **state)
{
	auto_secret struct secret *one = secret_of("one");
	auto_secret struct secret *two = secret_of("two");
	static const off_t places[] = { IN_PRIMARY, IN_SECONDARY };
	struct luks_header header;
	struct folder folder;
	struct err e = { 0 };
	bool mendable;

	(void)state;
	folder_open(&folder);
	int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		luks_image_damage(image, places[i]);
		assert_false(luks_image_opens(image, "one"));
		assert_int_equal(luks_header_is_mendable(image, &mendable, &header, &e), 0);
		assert_true(mendable);
		assert_string_equal(header.uuid, LUKS_IMAGE_UUID);
		assert_int_equal(luks_header_try(image, two, &e), -1);
		assert_int_equal(e.code, ERR_PERMISSION_DENIED);
		assert_int_equal(luks_header_try(image, one, &e), 0);
		assert_false(luks_image_opens(image, "one"));
		if (luks_header_mend(image, &e) < 0)
			fail_msg("%s", e.msg);
		assert_true(luks_image_opens(image, "one"));
	}
	assert_int_equal(luks_header_is_mendable(image, &mendable, &header, &e), 0);
	assert_false(mendable);
	luks_image_damage(image, IN_PRIMARY);
	luks_image_damage(image, IN_SECONDARY);
	assert_int_equal(luks_header_is_mendable(image, &mendable, &header, &e), 0);
	assert_false(mendable);
	assert_int_equal(luks_header_mend(image, &e), -1);
	close(image);
	folder_close(&folder);
}

/* Killed between the two copies: the older one, put back, stands for it. */
static void an_interrupted_update_is_finished(void **state)
{
	auto_secret struct secret *one = secret_of("one");
	auto_secret struct secret *two = secret_of("two");
	static const off_t places[] = { 0, 0x4000 };
	unsigned char before[0x4000];
	struct luks_header header;
	struct folder folder;
	struct err e = { 0 };
	bool mendable;
	char path[64];
	int slot;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		folder_open(&folder);
		int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
		snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
		assert_int_equal(pread(image, before, sizeof(before), places[i]), sizeof(before));
		assert_int_equal(luks_key_add(path, &luks_image_params, one, two, &slot, &e), 0);
		assert_int_equal(pwrite(image, before, sizeof(before), places[i]), sizeof(before));
		assert_false(luks_image_opens(image, "one"));
		assert_int_equal(luks_header_is_mendable(image, &mendable, &header, &e), 0);
		assert_true(mendable);
		if (luks_header_mend(image, &e) < 0)
			fail_msg("%s", e.msg);
		assert_true(luks_image_opens(image, "one"));
		assert_true(luks_image_opens(image, "two"));
		close(image);
		folder_close(&folder);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backup_is_made_whole_and_private),
		cmocka_unit_test(a_damaged_header_comes_back_from_it),
		cmocka_unit_test(the_backup_is_compared_with_the_header),
		cmocka_unit_test(nothing_is_learnt_from_a_damaged_header),
		cmocka_unit_test(an_old_backup_opens_nothing),
		cmocka_unit_test(what_a_crash_left_is_destroyed),
		cmocka_unit_test(one_copy_brings_back_the_other),
		cmocka_unit_test(an_interrupted_update_is_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
