/* base/err: the sentence travels with the code. */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

static void set_formats_and_returns_minus_one(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_set(&e, ERR_ABORTED, "volume '%s' is busy", "v"), -1);
	assert_int_equal(e.code, ERR_ABORTED);
	assert_string_equal(e.msg, "volume 'v' is busy");
}

static void what_a_sentence_quotes_is_made_clean(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, ERR_INTERNAL, "disk says '%s'", "\x1b[31mred\n\xc3\xa4\xc3");
	assert_string_equal(e.msg, "disk says '?[31mred \xc3\xa4?'");
	err_set(&e, ERR_INTERNAL, "cut: %.1s", "\xc3\xa4");
	err_wrap(&e, "in\x7f");
	assert_string_equal(e.msg, "in?: cut: ?");
}

static void errno_is_never_a_promise_about_a_volume(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_sys(&e, ENOENT, "cannot open 'x'");
	assert_int_equal(e.code, ERR_INTERNAL);
	assert_int_equal(e.sys, ENOENT);
	assert_string_equal(e.msg, "cannot open 'x': No such file or directory");
	err_sys(&e, EEXIST, "x");
	assert_int_equal(e.code, ERR_INTERNAL);
	err_sys(&e, ENOSPC, "x");
	assert_int_equal(e.code, ERR_RESOURCE_EXHAUSTED);
	err_sys(&e, EDQUOT, "x");
	assert_int_equal(e.code, ERR_RESOURCE_EXHAUSTED);
	err_sys(&e, ETIMEDOUT, "x");
	assert_int_equal(e.code, ERR_DEADLINE_EXCEEDED);
}

static void wrap_keeps_the_code_and_never_overflows(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, ERR_NOT_FOUND, "gone");
	for (int i = 0; i < 200; i++)
		err_wrap(&e, "step %d", i);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_true(strnlen(e.msg, sizeof(e.msg)) < sizeof(e.msg));
	assert_memory_equal(e.msg, "step 199: step 198: ", 20);
}

static void own_message_may_be_an_argument(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, ERR_INTERNAL, "inner");
	err_set(&e, ERR_UNAVAILABLE, "outer: %s", e.msg);
	assert_string_equal(e.msg, "outer: inner");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_formats_and_returns_minus_one),
		cmocka_unit_test(what_a_sentence_quotes_is_made_clean),
		cmocka_unit_test(errno_is_never_a_promise_about_a_volume),
		cmocka_unit_test(wrap_keeps_the_code_and_never_overflows),
		cmocka_unit_test(own_message_may_be_an_argument),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
