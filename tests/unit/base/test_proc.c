/* base/proc: programs with a deadline, a clean environment and a bounded output. */
#include "base/proc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "unit.h"

#define RUN(result, e, timeout_ms, ...)                                                            \
	proc_run((const char *const[]){ __VA_ARGS__, NULL }, timeout_ms, result, e)

static void output_and_exit_code_come_back(void **state)
{
	struct proc_result result;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(RUN(&result, &e, 10000, "sh", "-c", "echo out; echo err >&2; exit 3"), 0);
	assert_int_equal(result.exit_code, 3);
	assert_non_null(strstr(result.output, "out"));
	assert_non_null(strstr(result.output, "err"));
	assert_null(strchr(result.output, '\n'));
}

static void the_last_part_of_a_long_output_is_kept(void **state)
{
	struct proc_result result;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(RUN(&result, &e, 30000, "sh", "-c",
			     "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done"),
			 0);
	assert_int_equal(result.exit_code, 0);
	assert_non_null(strstr(result.output, "line 2999"));
	assert_null(strstr(result.output, "line 1 "));
}

static void a_missing_program_is_named(void **state)
{
	struct proc_result result;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(RUN(&result, &e, 1000, "mkfs.nonesuch"), -1);
	assert_int_equal(e.code, ERR_FAILED_PRECONDITION);
	assert_non_null(strstr(e.msg, "mkfs.nonesuch"));
}

static void the_deadline_ends_a_program(void **state)
{
	struct proc_result result;
	struct err e = { 0 };
	int64_t start = clock_ms();

	(void)state;
	assert_int_equal(RUN(&result, &e, 100, "sleep", "60"), -1);
	assert_int_equal(e.code, ERR_DEADLINE_EXCEEDED);
	assert_true(clock_ms() - start < 30000);
}

static void a_grandchild_that_holds_the_pipe_does_not_hang_us(void **state)
{
	struct proc_result result;
	struct err e = { 0 };
	int64_t start = clock_ms();

	(void)state;
	assert_int_equal(RUN(&result, &e, 20000, "sh", "-c", "sleep 5 & exit 0"), 0);
	assert_int_equal(result.exit_code, 0);
	assert_true(clock_ms() - start < 4000);
}

static void the_environment_is_clean(void **state)
{
	struct proc_result result;
	struct err e = { 0 };

	(void)state;
	setenv("LCW_UNIT_MARKER", "leaked", 1);
	assert_int_equal(RUN(&result, &e, 10000, "env"), 0);
	assert_null(strstr(result.output, "leaked"));
	assert_non_null(strstr(result.output, "LC_ALL=C"));
}

static void only_what_it_needs_is_open(void **state)
{
	struct proc_result result;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(RUN(&result, &e, 10000, "sh", "-c",
			     "readlink /proc/$$/fd/* | grep -c null"),
			 0);
	assert_string_equal(result.output, "1");
}

static void a_signal_is_no_exit_code(void **state)
{
	struct proc_result result;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(RUN(&result, &e, 10000, "sh", "-c", "kill -SEGV $$"), 0);
	assert_int_equal(result.exit_code, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_exit_code_come_back),
		cmocka_unit_test(the_last_part_of_a_long_output_is_kept),
		cmocka_unit_test(a_missing_program_is_named),
		cmocka_unit_test(the_deadline_ends_a_program),
		cmocka_unit_test(a_grandchild_that_holds_the_pipe_does_not_hang_us),
		cmocka_unit_test(the_environment_is_clean),
		cmocka_unit_test(only_what_it_needs_is_open),
		cmocka_unit_test(a_signal_is_no_exit_code),
	};

	/* What whoever started this test left open is not the driver's doing. */
	close_range(3, ~0u, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
