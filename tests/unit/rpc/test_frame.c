/* rpc/frame.c: messages in pieces of any size, and what is refused. */
#include "unit.h"

#include <string.h>

#include "rpc/frame.h"

static const uint8_t hello[] = { 0, 0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o' };

static void whole_message_in_every_split(void **state)
{
	(void)state;
	for (size_t cut = 0; cut <= sizeof(hello); cut++) {
		struct frame_budget budget = { 100, 100 };
		struct frame frame = { 0 };
		struct err e = { 0 };

		assert_int_equal(frame_feed(&frame, &budget, hello, cut, &e), 0);
		if (cut < sizeof(hello)) {
			assert_int_equal(frame_finish(&frame, &e), -1);
			assert_int_equal(e.code, ERR_INTERNAL);
		}
		assert_int_equal(frame_feed(&frame, &budget, hello + cut, sizeof(hello) - cut, &e),
				 0);
		assert_int_equal(frame_finish(&frame, &e), 0);
		assert_int_equal(frame.size, 5);
		assert_memory_equal(frame.bytes, "hello", 5);
		assert_int_equal(budget.left, 95);
		frame_free(&frame, &budget);
		assert_int_equal(budget.left, 100);
		assert_null(frame.bytes);
	}
}

static void empty_message_is_whole(void **state)
{
	struct frame_budget budget = { 10, 10 };
	struct frame frame = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(frame_finish(&frame, &e), -1);
	assert_int_equal(frame_feed(&frame, &budget, (const uint8_t[5]){ 0 }, 5, &e), 0);
	assert_int_equal(frame_finish(&frame, &e), 0);
	frame_free(&frame, &budget);
}

static enum err_code code_of(const uint8_t *bytes, size_t size, size_t each, size_t left)
{
	struct frame_budget budget = { each, left };
	struct frame frame = { 0 };
	struct err e = { 0 };

	if (frame_feed(&frame, &budget, bytes, size, &e) == 0)
		e.code = ERR_OK;
	frame_free(&frame, &budget);
	assert_int_equal(budget.left, left);
	return e.code;
}

static void refusals(void **state)
{
	const uint8_t compressed[] = { 1, 0, 0, 0, 0 };
	const uint8_t flags[] = { 2, 0, 0, 0, 0 };
	const uint8_t large[] = { 0, 0xff, 0xff, 0xff, 0xff };
	const uint8_t six[] = { 0, 0, 0, 0, 6 };
	const uint8_t tail[] = { 0, 0, 0, 0, 1, 'x', 'y' };

	(void)state;
	assert_int_equal(code_of(compressed, 5, 9, 9), ERR_UNIMPLEMENTED);
	assert_int_equal(code_of(flags, 5, 9, 9), ERR_INTERNAL);
	assert_int_equal(code_of(large, 5, 9, 9), ERR_RESOURCE_EXHAUSTED);
	assert_int_equal(code_of(large, 4, 9, 9), ERR_OK);
	assert_int_equal(code_of(six, 5, 5, 9), ERR_RESOURCE_EXHAUSTED);
	assert_int_equal(code_of(six, 5, 6, 5), ERR_UNAVAILABLE);
	assert_int_equal(code_of(six, 5, 6, 6), ERR_OK);
	assert_int_equal(code_of(tail, 7, 9, 9), ERR_INTERNAL);
}

static void prefix_is_big_endian(void **state)
{
	uint8_t prefix[FRAME_PREFIX];

	(void)state;
	frame_put_prefix(prefix, 0x01020304);
	assert_memory_equal(prefix, "\0\1\2\3\4", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_message_in_every_split),
		cmocka_unit_test(empty_message_is_whole),
		cmocka_unit_test(refusals),
		cmocka_unit_test(prefix_is_big_endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
