/* sys/luks_requirements: a header that demands something is told from one that does not. */
#include "sys/luks_requirements.h"

#include "unit.h"

#include "luks_image.h"
#include "sys/luks_reencrypt.h"

static void refused(int image, const char *word)
{
	struct err e = { 0 };

	assert_int_equal(luks_requirements_check(image, "the image", &e), -1);
	assert_int_equal(e.code, ERR_FAILED_PRECONDITION);
	assert_non_null(strstr(e.msg, "'the image'"));
	if (!strstr(e.msg, word))
		fail_msg("'%s' is not in: %s", word, e.msg);
}

static void a_new_header_requires_nothing(void **state)
{
	struct folder folder;
	struct err e = { 0 };

	(void)state;
	folder_open(&folder);
	int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
	assert_int_equal(luks_requirements_check(image, "the image", &e), 0);
	luks_image_damage(image, IN_PRIMARY); /* luks_header_read() tells */
	assert_int_equal(luks_requirements_check(image, "the image", &e), 0);
	close(image);
	folder_close(&folder);
}

static bool never(uint64_t done, uint64_t total, void *data)
{
	(void)done;
	(void)total;
	(void)data;
	return true;
}

static void a_reencryption_is_required_while_it_is_not_complete(void **state)
{
	auto_secret struct secret *one = secret_of("one");
	struct folder folder;
	struct err e = { 0 };
	char path[64];

	(void)state;
	folder_open(&folder);
	int image = luks_image_make(&folder, LUKS_IMAGE_UUID, "one");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
	const struct luks_reencrypt job = {
		.path = path, .passphrase = one, .params = &luks_image_params, .progress = never
	};
	if (luks_reencrypt_begin(&job, &e) < 0)
		fail_msg("%s", e.msg);
	refused(image, "requires 'online-reencrypt");
	refused(image, "cryptsetup reencrypt --resume-only");
	close(image);
	folder_close(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_header_requires_nothing),
		cmocka_unit_test(a_reencryption_is_required_while_it_is_not_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
