/* rpc/progress.c: in the middle of a frame or between frames. */
#include "unit.h"

#include <string.h>

#include "rpc/progress.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static struct progress settled(void)
{
	struct progress progress;

	progress_init(&progress);
	progress_feed(&progress, (const uint8_t *)preface, 24, 1);
	assert_int_equal(progress.since_ms, 0);
	return progress;
}

static void between_frames_only_at_their_ends(void **state)
{
	const uint8_t ping[17] = { 0, 0, 8, 6 };
	struct progress progress = settled();

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(ping); i++) {
			progress_feed(&progress, ping + i, 1, 10 + round);
			assert_int_equal(progress.since_ms, i + 1 < sizeof(ping) ? 10 + round : 0);
		}
	}
}

static void a_new_frame_restarts_the_clock(void **state)
{
	const uint8_t ping[17] = { 0, 0, 8, 6 };
	struct progress progress = settled();
	uint8_t both[26];

	(void)state;
	progress_feed(&progress, ping, 5, 10);
	memcpy(both, ping + 5, 12);
	memcpy(both + 12, ping, 5);
	progress_feed(&progress, both, 17, 20);
	assert_int_equal(progress.since_ms, 20);
}

static void a_header_block_is_one(void **state)
{
	const uint8_t headers[10] = { 0, 0, 1, 1, 0, 0, 0, 0, 1, 'x' };
	const uint8_t more[10] = { 0, 0, 1, 9, 0, 0, 0, 0, 1, 'x' };
	const uint8_t last[10] = { 0, 0, 1, 9, 4, 0, 0, 0, 1, 'x' };
	struct progress progress = settled();

	(void)state;
	progress_feed(&progress, headers, 10, 5);
	assert_int_equal(progress.since_ms, 5);
	progress_feed(&progress, more, 10, 6);
	assert_int_equal(progress.since_ms, 5);
	progress_feed(&progress, last, 10, 7);
	assert_int_equal(progress.since_ms, 0);
}

static void empty_frames(void **state)
{
	const uint8_t acks[18] = { 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 4, 1 };
	struct progress progress = settled();

	(void)state;
	progress_feed(&progress, acks, 18, 5);
	assert_int_equal(progress.since_ms, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(between_frames_only_at_their_ends),
		cmocka_unit_test(a_new_frame_restarts_the_clock),
		cmocka_unit_test(a_header_block_is_one),
		cmocka_unit_test(empty_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
