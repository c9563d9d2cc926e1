/* base/proc: programs with a deadline, a clean environment and a bounded output. */
#include "base/proc.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
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
			     "for fd in /proc/$$/fd/*; do readlink $fd; done | cut -d: -f1 | "
			     "tr '\\n' ' '"),
			 0);
	assert_string_equal(result.output, "/dev/null pipe pipe");
}

static void a_signal_is_no_exit_code(void **state)
{
	struct proc_result result;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(RUN(&result, &e, 10000, "sh", "-c", "kill -SEGV $$"), 0);
	assert_int_equal(result.exit_code, -1);
}

static int ask(int64_t timeout_ms, size_t limit, int input, int kept, const char *script,
	       struct proc_answer *answer, struct err *e)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	const char *const environment[] = { "PATH=/usr/bin:/bin", "ONE=1", NULL };
	const struct proc_question question = {
		argv, environment, input, kept, limit, timeout_ms, 0
	};

	return proc_ask(&question, answer, e);
}

static void an_answer_is_kept_apart_from_the_errors(void **state)
{
	auto_proc_answer struct proc_answer answer = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ask(10000, 100, -1, -1, "echo out; echo err >&2; env; exit 3", &answer,
			     &e),
			 0);
	assert_int_equal(answer.exit_code, 3);
	assert_int_equal(strncmp(answer.text, "out\n", 4), 0);
	assert_non_null(strstr(answer.text, "ONE=1"));
	assert_null(strstr(answer.text, "LC_ALL"));
	assert_string_equal(answer.errors, "err");
	assert_false(answer.cut);
}

static void the_first_part_of_a_long_answer_is_kept(void **state)
{
	auto_proc_answer struct proc_answer answer = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ask(30000, 10, -1, -1, "seq 1 5000", &answer, &e), 0);
	assert_int_equal(answer.size, 10);
	assert_string_equal(answer.text, "1\n2\n3\n4\n5\n");
	assert_true(answer.cut);
}

static void one_descriptor_is_kept_and_one_is_the_input(void **state)
{
	int kept = memfd_create("kept", MFD_CLOEXEC), other = memfd_create("other", MFD_CLOEXEC);
	int input = memfd_create("input", MFD_CLOEXEC);
	auto_proc_answer struct proc_answer answer = { 0 };
	char script[128];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(write(kept, "config", 6), 6);
	assert_int_equal(pwrite(input, "words", 5, 0), 5);
	snprintf(script, sizeof(script), "cat; cat /dev/fd/%d; test -e /dev/fd/%d || echo .none",
		 kept, other);
	assert_int_equal(ask(10000, 100, input, kept, script, &answer, &e), 0);
	assert_string_equal(answer.text, "wordsconfig.none\n");
	close(kept);
	close(other);
	close(input);
}

enum { NUMBER = 47123 };

static int ask_as(uid_t user, int64_t timeout_ms, int kept, const char *program, const char *script,
		  struct proc_answer *answer, struct err *e)
{
	const char *const argv[] = { program, "-c", script, NULL };
	const char *const environment[] = { "PATH=/usr/bin:/bin", NULL };
	const struct proc_question question = { .argv = argv,
						.environment = environment,
						.input_fd = -1,
						.kept_fd = kept,
						.answer_limit = 4000,
						.timeout_ms = timeout_ms,
						.user = user };

	return proc_ask(&question, answer, e);
}

static void a_program_may_have_no_rights(void **state)
{
	static const char *const expected[] = {
		"Uid:\t47123\t47123\t47123\t47123\n",
		"Gid:\t47123\t47123\t47123\t47123\n",
		"CapInh:\t0000000000000000\n",
		"CapPrm:\t0000000000000000\n",
		"CapEff:\t0000000000000000\n",
		"CapBnd:\t0000000000000000\n",
		"CapAmb:\t0000000000000000\n",
		"NoNewPrivs:\t1\n",
		"Seccomp:\t2\n",
		"Groups:\t \n",
	};
	auto_proc_answer struct proc_answer answer = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ask_as(NUMBER, 10000, -1, "/bin/sh", "cat /proc/self/status", &answer, &e),
			 0);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (!strstr(answer.text, expected[i]))
			fail_msg("no '%s' in:\n%s", expected[i], answer.text);
}

/* Its folder is root's alone; and what it is to read is in memory. */
static void a_program_without_rights_is_found_all_the_same(void **state)
{
	auto_proc_answer struct proc_answer answer = { 0 }, copied = { 0 };
	int kept = memfd_create("kept", MFD_CLOEXEC);
	char folder[] = "/tmp/lcw-proc.XXXXXX", program[64], script[256];
	struct err e = { 0 };

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(program, sizeof(program), "%s/shell", folder);
	snprintf(script, sizeof(script), "cp /bin/sh %s && chmod 755 %s", program, program);
	assert_int_equal(ask(10000, 100, -1, -1, script, &copied, &e), 0);
	assert_int_equal(copied.exit_code, 0);
	assert_int_equal(pwrite(kept, "config", 6, 0), 6);
	snprintf(script, sizeof(script), "cat /dev/fd/%d; id -u; ls %s 2> /dev/null || echo closed",
		 kept, folder);
	assert_int_equal(ask_as(NUMBER, 10000, kept, program, script, &answer, &e), 0);
	assert_string_equal(answer.text, "config47123\nclosed\n");
	close(kept);
	unlink(program);
	rmdir(folder);
}

static void the_deadline_ends_a_program_without_rights(void **state)
{
	auto_proc_answer struct proc_answer answer = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ask_as(NUMBER, 300, -1, "/bin/sh", "exec sleep 60", &answer, &e), -1);
	assert_int_equal(e.code, ERR_DEADLINE_EXCEEDED);
	assert_null(strstr(e.msg, "waits in the kernel"));
}

/* The kernel forgets PR_SET_PDEATHSIG when the user changes. */
static void a_program_without_rights_dies_with_us(void **state)
{
	auto_proc_answer struct proc_answer answer = { 0 };
	char script[64], text[16] = "";
	struct err e = { 0 };
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t worker = fork();
	if (worker == 0) {
		snprintf(script, sizeof(script), "echo $$ >&%d; exec sleep 60", ends[1]);
		_exit(ask_as(NUMBER, 60000, ends[1], "/bin/sh", script, &answer, &e) != 0);
	}
	close(ends[1]);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 1);
	assert_int_equal(kill(worker, SIGKILL), 0);
	assert_int_equal(waitpid(worker, NULL, 0), worker);
	/* The program has the pipe's other end until it is gone. */
	struct pollfd gone = { .fd = ends[0], .events = POLLIN };
	assert_int_equal(poll(&gone, 1, 10000), 1);
	assert_int_equal(read(ends[0], text, sizeof(text)), 0);
	close(ends[0]);
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
		cmocka_unit_test(an_answer_is_kept_apart_from_the_errors),
		cmocka_unit_test(the_first_part_of_a_long_answer_is_kept),
		cmocka_unit_test(one_descriptor_is_kept_and_one_is_the_input),
		cmocka_unit_test(a_program_may_have_no_rights),
		cmocka_unit_test(a_program_without_rights_is_found_all_the_same),
		cmocka_unit_test(the_deadline_ends_a_program_without_rights),
		cmocka_unit_test(a_program_without_rights_dies_with_us),
	};

	/* What whoever started this test left open is not the driver's doing. */
	close_range(3, ~0u, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
