/* base/lock: one holder, also across processes and programs that it started. */
#include "base/lock.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "unit.h"

#include "folder.h"

static void a_second_try_is_refused_until_release(void **state)
{
	struct folder folder;

	(void)state;
	folder_open(&folder);
	int first = lock_try(folder.fd, "v.lock");
	assert_true(first >= 0);
	assert_int_equal(lock_try(folder.fd, "v.lock"), -EWOULDBLOCK);
	int other = lock_try(folder.fd, "w.lock");
	assert_true(other >= 0);
	close(first);
	int again = lock_try(folder.fd, "v.lock");
	assert_true(again >= 0);
	close(again);
	close(other);
	folder_close(&folder);
}

static void a_removed_file_does_not_make_two_holders(void **state)
{
	struct folder folder;

	(void)state;
	folder_open(&folder);
	int first = lock_try(folder.fd, "v.lock");
	assert_int_equal(unlinkat(folder.fd, "v.lock", 0), 0);
	/* The name is free now: a new holder gets a new file, and it is the current one. */
	int second = lock_try(folder.fd, "v.lock");
	assert_true(second >= 0);
	assert_int_equal(lock_try(folder.fd, "v.lock"), -EWOULDBLOCK);
	close(first);
	close(second);
	folder_close(&folder);
}

static void a_started_program_keeps_the_lock(void **state)
{
	struct folder folder;
	int gate[2];

	(void)state;
	folder_open(&folder);
	assert_int_equal(pipe(gate), 0);
	pid_t worker = fork();
	if (worker == 0) {
		/* A worker that takes the lock, starts a program and is killed. */
		if (lock_try(folder.fd, "v.lock") < 0)
			_exit(1);
		pid_t program = fork();
		if (program == 0) {
			dup2(gate[0], 0);
			close(gate[1]);
			execl("/bin/cat", "cat", NULL);
			_exit(127);
		}
		kill(getpid(), SIGKILL);
	}
	assert_true(worker > 0);
	close(gate[0]);
	waitpid(worker, NULL, 0);
	assert_int_equal(lock_try(folder.fd, "v.lock"), -EWOULDBLOCK);
	close(gate[1]); /* ends cat */
	int fd = -1;
	for (int64_t end = clock_ms() + 10000; fd < 0 && clock_ms() < end;)
		fd = lock_try(folder.fd, "v.lock");
	assert_true(fd >= 0);
	close(fd);
	folder_close(&folder);
}

static void slots_are_counted_and_waiting_ends(void **state)
{
	struct folder folder;

	(void)state;
	folder_open(&folder);
	int a = lock_slot(folder.fd, "kdf", 2, 1000);
	int b = lock_slot(folder.fd, "kdf", 2, 1000);
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(lock_slot(folder.fd, "kdf", 2, 50), -ETIMEDOUT);
	close(a);
	int c = lock_slot(folder.fd, "kdf", 2, 1000);
	assert_true(c >= 0);
	close(b);
	close(c);
	folder_close(&folder);
}

static void a_locked_folder_stays_locked_while_a_program_runs(void **state)
{
	struct folder folder;
	int gate[2];

	(void)state;
	folder_open(&folder);
	int first = openat(folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int second = openat(folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	assert_int_equal(lock_folder(first), 0);
	assert_int_equal(lock_folder(second), -EWOULDBLOCK);

	pid_t program = fork();
	if (program == 0) {
		dup2(gate[0], STDIN_FILENO);
		execlp("cat", "cat", NULL);
		_exit(127);
	}
	close(first);
	assert_int_equal(lock_folder(second), -EWOULDBLOCK);
	close(gate[1]); /* ends cat */
	close(gate[0]);
	assert_int_equal(waitpid(program, NULL, 0), program);
	assert_int_equal(lock_folder(second), 0);
	close(second);
	folder_close(&folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_try_is_refused_until_release),
		cmocka_unit_test(a_removed_file_does_not_make_two_holders),
		cmocka_unit_test(a_started_program_keeps_the_lock),
		cmocka_unit_test(slots_are_counted_and_waiting_ends),
		cmocka_unit_test(a_locked_folder_stays_locked_while_a_program_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
