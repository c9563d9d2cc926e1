/* sys/luks_reencrypt: another volume key for a closed volume, stopped and gone on with. */
#include "sys/luks_reencrypt.h"

#include "unit.h"

#include "luks_image.h"
#include "sys/luks_backup.h"
#include "sys/luks_keys.h"

struct stopper {
	unsigned calls, at;
	uint64_t done, total;
};

static bool stop_at(uint64_t done, uint64_t total, void *data)
{
	struct stopper *stopper = data;

	stopper->done = done;
	stopper->total = total;
	return ++stopper->calls == stopper->at;
}

static struct luks_reencrypt job_of(char path[64], int image, const struct secret *passphrase,
				    struct stopper *stopper)
{
	snprintf(path, 64, "/proc/self/fd/%d", image);
	return (struct luks_reencrypt){
		.path = path,
		.passphrase = passphrase,
		.params = &luks_image_params,
		.progress = stop_at,
		.data = stopper,
	};
}

static void read_data(int image, unsigned char data[1 << 20])
{
	assert_int_equal(pread(image, data, 1 << 20, LUKS_HEADER_BYTES), 1 << 20);
}

static void the_volume_key_is_replaced_in_pieces(void **state)
{
	static unsigned char before[1 << 20], after[1 << 20];
	auto_secret struct secret *one = secret_of("one"), *two = secret_of("two");
	struct stopper stopper = { .at = 3 };
	bool complete, under_way;
	struct folder folder;
	struct err e = { 0 };
	char path[64];
	unsigned count;

	(void)state;
	folder_open(&folder);
	int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
	assert_int_equal(ftruncate(image, 64 << 20), 0);
	read_data(image, before);
	struct luks_reencrypt job = job_of(path, image, one, &stopper);
	if (luks_reencrypt_begin(&job, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(luks_is_reencrypting(path, &under_way, &e), 0);
	assert_true(under_way);
	assert_true(luks_image_opens(image, "one"));
	if (luks_backup_write(folder.fd, image, &e) < 0)
		fail_msg("%s", e.msg);

	if (luks_reencrypt_run(&job, &complete, &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(complete);
	assert_true(stopper.total == 48 << 20 && stopper.done > 0 && stopper.done < stopper.total);
	assert_true(luks_image_opens(image, "one"));

	job.passphrase = two;
	assert_int_equal(luks_reencrypt_run(&job, &complete, &e), -1);
	assert_int_equal(e.code, ERR_PERMISSION_DENIED);
	job.passphrase = one;
	if (luks_reencrypt_begin(&job, &e) < 0 || luks_reencrypt_run(&job, &complete, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(complete);
	assert_int_equal(luks_is_reencrypting(path, &under_way, &e), 0);
	assert_false(under_way);
	assert_int_equal(luks_key_count(path, &count, &e), 0);
	assert_int_equal(count, 1);
	assert_true(luks_image_opens(image, "one"));
	read_data(image, after);
	assert_memory_not_equal(before, after, sizeof(before));
	close(image);
	folder_close(&folder);
}

static void other_passphrases_are_not_lost(void **state)
{
	auto_secret struct secret *one = secret_of("one"), *two = secret_of("two");
	struct stopper stopper = { 0 };
	struct folder folder;
	struct err e = { 0 };
	char path[64];
	bool under_way;
	int slot;

	(void)state;
	folder_open(&folder);
	int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
	struct luks_reencrypt job = job_of(path, image, two, &stopper);
	assert_int_equal(luks_reencrypt_begin(&job, &e), -1);
	assert_int_equal(e.code, ERR_PERMISSION_DENIED);
	assert_int_equal(luks_key_add(path, &luks_image_params, one, two, &slot, &e), 0);
	assert_int_equal(luks_reencrypt_begin(&job, &e), -1);
	assert_non_null(strstr(e.msg, "2 keyslots"));
	assert_int_equal(luks_is_reencrypting(path, &under_way, &e), 0);
	assert_false(under_way);
	close(image);
	folder_close(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_volume_key_is_replaced_in_pieces),
		cmocka_unit_test(other_passphrases_are_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
