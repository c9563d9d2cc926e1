/* Children that are programs. */
#include "base/proc.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

enum { GRACE_MS = 3000 }; /* for a killed child to be gone */

static const char *const folders[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin" };

static int find_program(const char *name, char path[64], struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (snprintf(path, 64, "%s/%s", folders[i], name) < 64 && access(path, X_OK) == 0)
			return 0;
	return err_set(
		e, ERR_FAILED_PRECONDITION,
		"program '%s' is not installed on this node (looked in /usr/sbin and /usr/bin)",
		name);
}

static NORETURN void become(const char *path, const char *const argv[], int output, pid_t parent)
{
	static const char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
						   "DM_DISABLE_UDEV=1", NULL };
	sigset_t none;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* The parent may have died before the request took effect. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(null, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execve(path, (char *const *)argv, (char *const *)environment);
	_exit(127);
}

/* Keeps the last part of what is written. */
static void keep(struct proc_result *result, size_t *used, const char *bytes, size_t size)
{
	size_t room = sizeof(result->output) - 1;

	if (size > room) {
		bytes += size - room;
		size = room;
	}
	if (*used + size > room) {
		size_t drop = *used + size - room;

		memmove(result->output, result->output + drop, *used - drop);
		*used -= drop;
	}
	memcpy(result->output + *used, bytes, size);
	*used += size;
}

static void tidy(struct proc_result *result, size_t used)
{
	while (used && isspace((unsigned char)result->output[used - 1]))
		used--;
	result->output[used] = '\0';
	for (char *c = result->output; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
}

/* Reads until the child has ended. false: the time is over. */
static bool collect(int pid_fd, int pipe_fd, int64_t end_ms, struct proc_result *result)
{
	struct pollfd fds[] = { { .fd = pid_fd, .events = POLLIN },
				{ .fd = pipe_fd, .events = POLLIN } };
	char bytes[1024];
	size_t used = 0;
	bool ended = false;

	for (;;) {
		int64_t left = end_ms - clock_ms();
		int ready = left > 0 ? poll(fds, 2, ended ? 0 : (int)left) : 0;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			break;
		ended = ended || fds[0].revents;
		if (!fds[1].revents) {
			if (ended)
				break;
			continue;
		}
		ssize_t got = read(pipe_fd, bytes, sizeof(bytes));
		if (got > 0)
			keep(result, &used, bytes, (size_t)got);
		else
			fds[1].fd = -1;
	}
	tidy(result, used);
	return ended;
}

/* Waits for a child that has ended or was killed. false: the kernel does not let it go. */
static bool reap(pid_t pid, int pid_fd, siginfo_t *ret_info)
{
	struct pollfd fd = { .fd = pid_fd, .events = POLLIN };
	int64_t end = clock_ms() + GRACE_MS;
	int ready;

	do {
		int64_t left = end - clock_ms();

		ready = poll(&fd, 1, left > 0 ? (int)left : 0);
	} while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return false;
	while (waitid(P_PID, (id_t)pid, ret_info, WEXITED) < 0 && errno == EINTR)
		continue;
	return true;
}

static int give_up(const char *name, int64_t timeout_ms, bool gone, struct err *e)
{
	return err_set(e, ERR_DEADLINE_EXCEEDED, "'%s' did not end within %lld s and was killed%s",
		       name, (long long)(timeout_ms / 1000),
		       gone ? "" : ", but waits in the kernel: the disk below does not answer");
}

int proc_run(const char *const argv[], int64_t timeout_ms, struct proc_result *ret_result,
	     struct err *e)
{
	auto_close int read_end = -1, write_end = -1, pid_fd = -1;
	pid_t self = getpid();
	char path[64];
	siginfo_t info = { 0 };
	int ends[2];

	memset(ret_result, 0, sizeof(*ret_result));
	if (find_program(argv[0], path, e) < 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, errno, "cannot start '%s'", argv[0]);
	read_end = ends[0];
	write_end = ends[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, errno, "cannot start '%s'", argv[0]);
	if (pid == 0)
		become(path, argv, write_end, self);
	close(TAKE(write_end, -1));

	pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pid_fd < 0) {
		int errnum = errno;

		kill(pid, SIGKILL);
		return err_sys(e, errnum, "cannot watch '%s'", argv[0]);
	}
	bool ended = collect(pid_fd, read_end, clock_ms() + timeout_ms, ret_result);
	if (!ended)
		kill(pid, SIGKILL);
	bool gone = reap(pid, pid_fd, &info);
	if (!ended || !gone)
		return give_up(argv[0], timeout_ms, gone, e);
	ret_result->exit_code = info.si_code == CLD_EXITED ? info.si_status : -1;
	return 0;
}
