/* base/privileges and base/syscalls: what a process cannot do any more, and what it still can. */
#include "base/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/syscalls.h"
#include "unit.h"

enum { NUMBER = 47123 };

/* In a child, for good; the line in which it failed, or 0. */
static int in_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			return __LINE__;                                                           \
	} while (0)
#define REFUSED(what) CHECK((errno = 0, (what) < 0) && errno == EPERM)

static void *nothing(void *data)
{
	return data;
}

static int forbidden_calls(void)
{
	pthread_t thread;
	void *result;
	int status;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscalls_forbid() == 0);
	REFUSED(syscall(SYS_mount, "none", "/proc", "tmpfs", 0, NULL));
	REFUSED(syscall(SYS_umount2, "/proc/absent", 0));
	REFUSED(unshare(CLONE_NEWUSER));
	REFUSED(syscall(SYS_clone, CLONE_NEWUSER | 17, NULL, NULL, NULL, NULL));
	REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	REFUSED(syscall(SYS_bpf, 0, NULL, 0));
	REFUSED(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	REFUSED(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
	REFUSED(syscall(SYS_finit_module, -1, "", 0));
	REFUSED(syscall(SYS_io_uring_setup, 1, NULL));
	REFUSED(socket(AF_ALG, SOCK_SEQPACKET, 0));
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
	CHECK(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);

	CHECK(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
	CHECK(socket(AF_INET, SOCK_STREAM, 0) >= 0);
	CHECK(socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
	CHECK(pthread_create(&thread, NULL, nothing, &status) == 0);
	CHECK(pthread_join(thread, &result) == 0 && result == &status);
	return 0;
}

static int forbidden_in_a_child(void)
{
	int status;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscalls_forbid() == 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		execl("/bin/sh", "sh", "-c", "exec unshare --user true 2> /dev/null", (char *)NULL);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) != 0);
	return 0;
}

static int another_user(void)
{
	uid_t real, effective, saved;

	CHECK(privileges_become(NUMBER) == 0);
	CHECK(getresuid(&real, &effective, &saved) == 0);
	CHECK(real == NUMBER && effective == NUMBER && saved == NUMBER && getgid() == NUMBER);
	CHECK(getgroups(0, NULL) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	for (int capability = 0; capability < 38; capability++)
		CHECK(prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 0);
	REFUSED(setuid(0));
	REFUSED(setgid(0));
	CHECK(open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	CHECK(privileges_become(0) == -EPERM);
	return 0;
}

static void what_is_forbidden_answers_eperm_and_all_else_works(void **state)
{
	(void)state;
	assert_int_equal(in_child(forbidden_calls), 0);
	assert_int_equal(in_child(forbidden_in_a_child), 0);
}

static void another_user_has_no_way_back(void **state)
{
	(void)state;
	assert_int_equal(in_child(another_user), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_forbidden_answers_eperm_and_all_else_works),
		cmocka_unit_test(another_user_has_no_way_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
