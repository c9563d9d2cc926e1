/* s3/obscure: the inverse of `rclone reveal`; tests/s3 asks rclone itself. */
#include "s3/obscure.h"

#include <string.h>

#include "unit.h"

static void the_text_has_the_length_and_letters_of_rclone(void **state)
{
	static const struct {
		size_t size, length;
	} cases[] = { { 1, 23 }, { 12, 38 }, { 16, 43 }, { 44, 80 }, { 300, 422 } };
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	static const char zeros[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_secret struct secret *plain = secret_new(zeros, cases[i].size);
		auto_secret struct secret *text = NULL;
		struct err e = { 0 };

		assert_int_equal(obscure(plain, &text, &e), 0);
		assert_int_equal(secret_size(text), cases[i].length);
		const char *bytes = secret_bytes(text);
		for (size_t at = 0; at < secret_size(text); at++)
			assert_non_null(strchr(digits, bytes[at]));
	}
}

static void two_texts_of_one_password_differ(void **state)
{
	auto_secret struct secret *plain = secret_new("password", 8);
	auto_secret struct secret *one = NULL, *two = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(obscure(plain, &one, &e), 0);
	assert_int_equal(obscure(plain, &two, &e), 0);
	assert_memory_not_equal(secret_bytes(one), secret_bytes(two), secret_size(one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_has_the_length_and_letters_of_rclone),
		cmocka_unit_test(two_texts_of_one_password_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
