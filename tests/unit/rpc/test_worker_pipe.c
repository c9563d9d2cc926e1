/* rpc/worker_pipe.c: what a worker tells, and what a broken one might. */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "rpc/frame.h"
#include "rpc/worker_pipe.h"

struct ends {
	int read, write;
	struct worker_pipe pipe;
};

static struct ends open_ends(void)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	return (struct ends){ fds[0], fds[1], { .reply_limit = 100 } };
}

static void close_ends(struct ends *ends)
{
	worker_pipe_free(&ends->pipe);
	close(ends->read);
	if (ends->write >= 0)
		close(ends->write);
}

static enum worker_pipe_state read_ends(struct ends *ends)
{
	return worker_pipe_read(&ends->pipe, ends->read);
}

static void subject_then_reply(void **state)
{
	uint8_t buffer[] = { 0, 0, 0, 0, 0, 'o', 'k' };
	struct ends ends = open_ends();

	(void)state;
	assert_int_equal(read_ends(&ends), WORKER_PIPE_OPEN);
	worker_pipe_subject(ends.write, "vol");
	assert_int_equal(read_ends(&ends), WORKER_PIPE_OPEN);
	assert_string_equal(ends.pipe.subject, "vol");
	worker_pipe_reply(ends.write, &(struct call_reply){ buffer, 2 });
	assert_int_equal(read_ends(&ends), WORKER_PIPE_DONE);
	assert_int_equal(ends.pipe.e.code, ERR_OK);
	assert_int_equal(ends.pipe.reply.size, 2);
	assert_memory_equal(ends.pipe.reply.buffer, "\0\0\0\0\2ok", 7);
	close_ends(&ends);
}

static void steps_come_before_the_outcome(void **state)
{
	uint8_t buffer[FRAME_PREFIX] = { 0 };
	struct ends ends = open_ends();

	(void)state;
	step_ended(STEP_LUKS_OPEN, clock_ms() - 1500);
	worker_pipe_steps(ends.write);
	assert_int_equal(read_ends(&ends), WORKER_PIPE_OPEN);
	assert_true(ends.pipe.has_steps);
	assert_true(ends.pipe.steps.ms[STEP_LUKS_OPEN] >= 1500);
	assert_int_equal(ends.pipe.steps.ms[STEP_FS_MAKE], -1);
	worker_pipe_reply(ends.write, &(struct call_reply){ buffer, 0 });
	assert_int_equal(read_ends(&ends), WORKER_PIPE_DONE);
	close_ends(&ends);
}

static void empty_notes(void **state)
{
	uint8_t buffer[FRAME_PREFIX] = { 0 };
	struct ends ends = open_ends();

	(void)state;
	worker_pipe_subject(ends.write, "");
	worker_pipe_reply(ends.write, &(struct call_reply){ buffer, 0 });
	assert_int_equal(read_ends(&ends), WORKER_PIPE_DONE);
	assert_int_equal(ends.pipe.reply.size, 0);
	close_ends(&ends);
}

static void an_error(void **state)
{
	struct ends ends = open_ends();
	struct err e = { 0 };

	(void)state;
	err_set(&e, ERR_ABORTED, "busy");
	worker_pipe_error(ends.write, &e);
	assert_int_equal(read_ends(&ends), WORKER_PIPE_DONE);
	assert_int_equal(ends.pipe.e.code, ERR_ABORTED);
	assert_string_equal(ends.pipe.e.msg, "busy");
	close_ends(&ends);
}

static void an_error_that_makes_no_sense(void **state)
{
	static const int codes[] = { 0, -1, 17, 1000000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct ends ends = open_ends();
		struct err e = { .code = (enum err_code)codes[i] };

		memset(e.msg, 'x', sizeof(e.msg));
		worker_pipe_error(ends.write, &e);
		assert_int_equal(read_ends(&ends), WORKER_PIPE_DONE);
		assert_int_equal(ends.pipe.e.code, ERR_UNKNOWN);
		assert_int_equal(strlen(ends.pipe.e.msg), sizeof(e.msg) - 1);
		close_ends(&ends);
	}
}

static void every_byte_apart(void **state)
{
	const uint32_t head[2] = { 2, 3 };
	uint8_t bytes[11];
	struct ends ends = open_ends();

	(void)state;
	memcpy(bytes, head, 8);
	memcpy(bytes + 8, "abc", 3);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(write(ends.write, bytes + i, 1), 1);
		assert_int_equal(read_ends(&ends),
				 i + 1 < sizeof(bytes) ? WORKER_PIPE_OPEN : WORKER_PIPE_DONE);
	}
	assert_memory_equal(ends.pipe.reply.buffer + FRAME_PREFIX, "abc", 3);
	close_ends(&ends);
}

static void ends_without_an_outcome(void **state)
{
	const uint32_t head[2] = { 2, 3 };

	(void)state;
	for (size_t size = 0; size <= sizeof(head); size++) {
		struct ends ends = open_ends();

		assert_int_equal(write(ends.write, head, size), (ssize_t)size);
		close(ends.write);
		ends.write = -1;
		assert_int_equal(read_ends(&ends), WORKER_PIPE_CLOSED);
		close_ends(&ends);
	}
}

static void heads_that_make_no_sense(void **state)
{
	static const uint32_t heads[][2] = {
		{ 0, 0 },	   { 4, 1 }, { 1, CALL_SUBJECT_SIZE },	{ 2, 101 }, { 3, 10 },
		{ 2, 0xffffffff }, { 3, 0 }, { 0xffffffff, 0xffffffff }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		struct ends ends = open_ends();

		assert_int_equal(write(ends.write, heads[i], 8), 8);
		assert_int_equal(read_ends(&ends), WORKER_PIPE_BROKEN);
		close_ends(&ends);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subject_then_reply),
		cmocka_unit_test(steps_come_before_the_outcome),
		cmocka_unit_test(empty_notes),
		cmocka_unit_test(an_error),
		cmocka_unit_test(an_error_that_makes_no_sense),
		cmocka_unit_test(every_byte_apart),
		cmocka_unit_test(ends_without_an_outcome),
		cmocka_unit_test(heads_that_make_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
