/* volume/cipher: what a new volume is not encrypted with. */
#include "volume/cipher.h"

#include <string.h>

#include "unit.h"

static void modes_that_hide_are_allowed(void **state)
{
	static const char *const good[] = {
		"aes-xts-plain64",
		"aes-xts-plain",
		"serpent-xts-plain64be",
		"aes-cbc-essiv:sha256",
		"aes:64-cbc-lmk",
		"aes-lrw-benbi",
		"xchacha12,aes-adiantum-plain64",
		"aes-hctr2-plain64",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct err e = { 0 };

		if (cipher_check_new(good[i], &e) < 0)
			fail_msg("%s", e.msg);
	}
}

static void modes_that_leak_are_refused_with_another(void **state)
{
	static const struct {
		const char *cipher, *word;
	} bad[] = {
		{ "aes-ecb-plain64", "equal blocks" },
		{ "twofish-ecb-essiv:sha256", "equal blocks" },
		{ "aes-ctr-plain64", "two copies" },
		{ "aes-ofb-essiv:sha256", "two copies" },
		{ "aes-cbc-plain", "everybody knows" },
		{ "aes-cbc-plain64", "everybody knows" },
		{ "aes-cbc-plain64be", "everybody knows" },
		{ "aes-cbc-benbi", "everybody knows" },
		{ "aes:64-cbc-plain", "everybody knows" },
		{ "aes-pcbc-plain64", "everybody knows" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = { 0 };

		assert_int_equal(cipher_check_new(bad[i].cipher, &e), -1);
		assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
		assert_non_null(strstr(e.msg, bad[i].cipher));
		assert_non_null(strstr(e.msg, bad[i].word));
		assert_non_null(strstr(e.msg, "'aes-xts-plain64'"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes_that_hide_are_allowed),
		cmocka_unit_test(modes_that_leak_are_refused_with_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
