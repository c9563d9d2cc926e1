/* rpc/frame.c and rpc/progress.c: the same message comes out however its bytes are cut. */
#include "input.h"

#include <string.h>

#include "rpc/frame.h"
#include "rpc/progress.h"

enum { EACH = 1 << 16, TOTAL = 1 << 17 };

static int feed(struct frame *frame, struct frame_budget *budget, const uint8_t *bytes, size_t size,
		size_t step, struct err *e)
{
	for (size_t at = 0; at < size; at += step) {
		size_t part = size - at < step ? size - at : step;

		if (frame_feed(frame, budget, bytes + at, part, e) < 0)
			return -1;
	}
	return frame_finish(frame, e);
}

static void check_progress(const uint8_t *bytes, size_t size, size_t step)
{
	struct progress whole, cut;

	progress_init(&whole);
	progress_init(&cut);
	progress_feed(&whole, bytes, size, 1);
	for (size_t at = 0; at < size; at += step)
		progress_feed(&cut, bytes + at, size - at < step ? size - at : step, 1);
	FUZZ_CHECK(whole.preface_left == cut.preface_left);
	FUZZ_CHECK(whole.payload_left == cut.payload_left && whole.head_used == cut.head_used);
	FUZZ_CHECK(whole.since_ms == cut.since_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	struct frame_budget budget = { .each = EACH, .left = TOTAL };
	struct frame whole = { 0 }, cut = { 0 };
	struct err e = { 0 }, e_cut = { 0 };
	size_t step = input_u8(&input) % 16 + 1;
	int rc = feed(&whole, &budget, input.at, input.left, input.left + 1, &e);
	int rc_cut = feed(&cut, &budget, input.at, input.left, step, &e_cut);

	FUZZ_CHECK(rc == rc_cut && e.code == e_cut.code);
	if (rc < 0)
		check_error(&e);
	else
		FUZZ_CHECK(whole.size == cut.size && whole.size == input.left - FRAME_PREFIX &&
			   memcmp(whole.bytes, cut.bytes, whole.size) == 0);
	frame_free(&whole, &budget);
	frame_free(&cut, &budget);
	FUZZ_CHECK(budget.left == TOTAL);
	check_progress(input.at, input.left, step);
	return 0;
}
