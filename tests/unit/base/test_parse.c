/* base/parse: words into values, strictly. */
#include "base/parse.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "unit.h"

static void uint_takes_digits_only(void **state)
{
	static const char *const bad[] = { "",	 "-1",	 "+1",	" 1",
					   "1 ", "0x10", "1e3", "18446744073709551616" };
	uint64_t value;

	(void)state;
	assert_true(parse_uint("0", 10, &value));
	assert_int_equal(value, 0);
	assert_true(parse_uint("18446744073709551615", UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	assert_false(parse_uint("11", 10, &value));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(parse_uint(bad[i], UINT64_MAX, &value));
}

static void size_knows_suffixes_and_overflow(void **state)
{
	static const char *const bad[] = { "",	   "G",	  "10X",       "10Gib",
					   "1.5G", "-1G", "99999999P", "10 G" };
	uint64_t bytes;

	(void)state;
	assert_true(parse_size("64Mi", &bytes));
	assert_int_equal(bytes, 64 << 20);
	assert_true(parse_size("10G", &bytes));
	assert_true(bytes == 10ull << 30);
	assert_true(parse_size("512", &bytes));
	assert_int_equal(bytes, 512);
	assert_true(parse_size("4k", &bytes));
	assert_int_equal(bytes, 4096);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(parse_size(bad[i], &bytes));
}

static void mode_is_octal(void **state)
{
	unsigned mode;

	(void)state;
	assert_true(parse_mode("0775", &mode));
	assert_int_equal(mode, 0775);
	assert_true(parse_mode("2775", &mode));
	assert_int_equal(mode, 02775);
	assert_false(parse_mode("0785", &mode));
	assert_false(parse_mode("17777", &mode));
	assert_false(parse_mode("7", &mode));
	assert_false(parse_mode("", &mode));
}

static void duration_adds_its_parts(void **state)
{
	int64_t ms;

	(void)state;
	assert_true(parse_duration("1h30m", &ms));
	assert_int_equal(ms, 5400000);
	assert_true(parse_duration("250ms", &ms));
	assert_int_equal(ms, 250);
	assert_false(parse_duration("", &ms));
	assert_false(parse_duration("5", &ms));
	assert_false(parse_duration("s", &ms));
	assert_false(parse_duration("-5s", &ms));
}

static void clean_text_is_utf8_without_controls(void **state)
{
	static const char *const bad[] = { "a\nb",     "a\x7f",		"\xff",
					   "\xc0\xaf", "\xed\xa0\x80",	"\xf4\x90\x80\x80",
					   "\xc2",     "\xc2\x85 (C1)", "\xe2\x28\xa1" };

	(void)state;
	assert_true(text_is_clean(""));
	assert_true(text_is_clean("päss wörd ☃ 🐧"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(text_is_clean(bad[i]));
}

static void clean_path_has_no_tricks(void **state)
{
	static const char *const bad[] = { "",	  "a/b", "/a/../b", "/a/./b",
					   "/..", "//a", "/a//b",   "/a\n" };
	char name[300], path[400];

	(void)state;
	assert_true(path_is_clean("/"));
	assert_true(path_is_clean("/a/b..c/...d"));
	assert_true(path_is_clean("/a/"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(path_is_clean(bad[i]));
	memset(name, 'x', sizeof(name));
	memcpy(path, "/", 1);
	memcpy(path + 1, name, 256);
	path[257] = '\0';
	assert_false(path_is_clean(path));
	path[256] = '\0';
	assert_true(path_is_clean(path));
}

static void within_compares_whole_components(void **state)
{
	(void)state;
	assert_true(path_is_within("/a/b", "/a"));
	assert_true(path_is_within("/a", "/a"));
	assert_true(path_is_within("/a/b", "/a/"));
	assert_true(path_is_within("/a", "/"));
	assert_false(path_is_within("/ab", "/a"));
	assert_false(path_is_within("/", "/a"));
}

static void nearest_word_helps_with_typos_only(void **state)
{
	static const char *const words[] = { "fsType", "fsGroup", "local-path", "passphraseKey" };

	bool likely;

	(void)state;
	assert_string_equal(nearest_word("fstype", words, 4, &likely), "fsType");
	assert_true(likely);
	assert_string_equal(nearest_word("localpath", words, 4, &likely), "local-path");
	assert_string_equal(nearest_word("passphrase-key", words, 4, &likely), "passphraseKey");
	assert_true(likely);
	assert_non_null(nearest_word("zzzzzzzzzzzz", words, 4, &likely));
	assert_false(likely);
	assert_null(nearest_word("x", words, 0, &likely));
	assert_false(likely);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uint_takes_digits_only),
		cmocka_unit_test(size_knows_suffixes_and_overflow),
		cmocka_unit_test(mode_is_octal),
		cmocka_unit_test(duration_adds_its_parts),
		cmocka_unit_test(clean_text_is_utf8_without_controls),
		cmocka_unit_test(clean_path_has_no_tricks),
		cmocka_unit_test(within_compares_whole_components),
		cmocka_unit_test(nearest_word_helps_with_typos_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
