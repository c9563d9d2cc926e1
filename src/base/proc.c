/* Children that are programs. */
#include "base/proc.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/privileges.h"
#include "base/syscalls.h"

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

/* How a child is started: descriptors are the parent's, -1 where there is none. */
struct child {
	const char *path;
	const char *const *argv, *const *environment;
	int input, output, errors, kept;
	int program; /* the same as path, opened; -1: only by its path */
	uid_t user;  /* 0: as we are */
	pid_t parent;
};

static void confine(const struct child *child)
{
	if (!privileges_may_start_as())
		privileges_drop();
	else if (privileges_become(child->user) < 0)
		_exit(127);
	/* A kernel that has no such filter has the rest; the mounter's log says so. */
	int ignored = syscalls_forbid();
	(void)ignored;
}

/* That user may not reach what lies in a folder of root's: then it is executed by descriptor. */
static NORETURN void execute(const struct child *child)
{
	char *const *argv = (char *const *)child->argv;
	char *const *environment = (char *const *)child->environment;

	execve(child->path, argv, environment);
	if (errno == EACCES && child->program >= 0)
		execveat(child->program, "", argv, environment, AT_EMPTY_PATH);
	_exit(127);
}

static NORETURN void become(const struct child *child)
{
	sigset_t none;
	int input = child->input >= 0 ? child->input : open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* First, because the kernel forgets the signal when the user changes. */
	if (child->user)
		confine(child);
	/* The parent may have died before the request took effect. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != child->parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(input, STDIN_FILENO);
	dup2(child->output, STDOUT_FILENO);
	dup2(child->errors, STDERR_FILENO);
	if (child->kept >= 0)
		fcntl(child->kept, F_SETFD, 0);
	execute(child);
}

/* What a child writes into one pipe: its first or its last part. */
struct sink {
	int fd;
	char *bytes;
	size_t used, room;
	bool keep_first, cut;
};

static void keep(struct sink *sink, const char *bytes, size_t size)
{
	sink->cut = sink->cut || sink->used + size > sink->room;
	if (sink->keep_first) {
		size_t left = sink->room - sink->used;

		size = size < left ? size : left;
	} else if (size > sink->room) {
		bytes += size - sink->room;
		size = sink->room;
	}
	if (sink->used + size > sink->room) {
		size_t drop = sink->used + size - sink->room;

		memmove(sink->bytes, sink->bytes + drop, sink->used - drop);
		sink->used -= drop;
	}
	memcpy(sink->bytes + sink->used, bytes, size);
	sink->used += size;
}

static void tidy(struct sink *sink)
{
	while (sink->used && isspace((unsigned char)sink->bytes[sink->used - 1]))
		sink->used--;
	sink->bytes[sink->used] = '\0';
	for (char *c = sink->bytes; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
}

static void drain(struct pollfd *fd, struct sink *sink)
{
	char bytes[4096];
	ssize_t got;

	if (!fd->revents)
		return;
	got = read(fd->fd, bytes, sizeof(bytes));
	if (got > 0)
		keep(sink, bytes, (size_t)got);
	else
		fd->fd = -1;
}

/* Reads until the child has ended. false: the time is over. */
static bool collect(int pid_fd, int64_t end_ms, struct sink sinks[], nfds_t count)
{
	struct pollfd fds[3] = { { .fd = pid_fd, .events = POLLIN } };
	bool ended = false;

	for (nfds_t i = 0; i < count; i++)
		fds[i + 1] = (struct pollfd){ .fd = sinks[i].fd, .events = POLLIN };
	for (;;) {
		int64_t left = end_ms - clock_ms();
		int ready = left > 0 ? poll(fds, count + 1, ended ? 0 : (int)left) : 0;
		bool more = false;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return ended;
		ended = ended || fds[0].revents;
		for (nfds_t i = 0; i < count; i++) {
			more = more || fds[i + 1].revents;
			drain(&fds[i + 1], &sinks[i]);
		}
		if (ended && !more)
			return true;
	}
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

/* Starts the child and gathers what it says; the write ends of the pipes are closed here. */
static int run(struct child *child, int write_ends[], struct sink sinks[], nfds_t count,
	       int64_t timeout_ms, int *ret_exit_code, struct err *e)
{
	const char *name = child->argv[0];
	auto_close int pid_fd = -1;
	siginfo_t info = { 0 };

	child->parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become(child);
	int errnum = errno;
	for (nfds_t i = 0; i < count; i++)
		close(TAKE(write_ends[i], -1));
	if (pid < 0)
		return err_sys(e, errnum, "cannot start '%s'", name);

	pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pid_fd < 0) {
		errnum = errno;
		kill(pid, SIGKILL);
		return err_sys(e, errnum, "cannot watch '%s'", name);
	}
	bool ended = collect(pid_fd, clock_ms() + timeout_ms, sinks, count);
	if (!ended)
		kill(pid, SIGKILL);
	bool gone = reap(pid, pid_fd, &info);
	if (!ended || !gone)
		return give_up(name, timeout_ms, gone, e);
	*ret_exit_code = info.si_code == CLD_EXITED ? info.si_status : -1;
	return 0;
}

int proc_run(const char *const argv[], int64_t timeout_ms, struct proc_result *ret_result,
	     struct err *e)
{
	static const char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
						   "DM_DISABLE_UDEV=1", NULL };
	struct sink sink = { .bytes = ret_result->output, .room = sizeof(ret_result->output) - 1 };
	auto_close int read_end = -1;
	char path[64];
	int ends[2];

	memset(ret_result, 0, sizeof(*ret_result));
	if (find_program(argv[0], path, e) < 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, errno, "cannot start '%s'", argv[0]);
	sink.fd = read_end = ends[0];
	struct child child = { .path = path,
			       .argv = argv,
			       .environment = environment,
			       .input = -1,
			       .output = ends[1],
			       .errors = ends[1],
			       .kept = -1,
			       .program = -1 };
	int rc = run(&child, &ends[1], &sink, 1, timeout_ms, &ret_result->exit_code, e);
	tidy(&sink);
	return rc;
}

int proc_ask(const struct proc_question *question, struct proc_answer *ret_answer, struct err *e)
{
	const char *path = question->argv[0];
	auto_proc_answer struct proc_answer answer = { .text = xcalloc(1, question->answer_limit +
										  1) };
	auto_close int out_read = -1, err_read = -1;
	auto_close int program = open(path, O_PATH | O_CLOEXEC);
	int out[2], errors[2];

	if (access(path, X_OK) < 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "program '%s' cannot be run on this node: %s", path,
			       strerror(errno));
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, errno, "cannot start '%s'", path);
	out_read = out[0];
	if (pipe2(errors, O_CLOEXEC) < 0) {
		int errnum = errno;

		close(out[1]);
		return err_sys(e, errnum, "cannot start '%s'", path);
	}
	err_read = errors[0];
	struct child child = { .path = path,
			       .argv = question->argv,
			       .environment = question->environment,
			       .input = question->input_fd,
			       .output = out[1],
			       .errors = errors[1],
			       .kept = question->kept_fd,
			       .program = program,
			       .user = question->user };
	struct sink sinks[] = {
		{ out_read, answer.text, 0, question->answer_limit, true, false },
		{ err_read, answer.errors, 0, sizeof(answer.errors) - 1, false, false },
	};
	int write_ends[] = { out[1], errors[1] };
	int rc = run(&child, write_ends, sinks, 2, question->timeout_ms, &answer.exit_code, e);
	tidy(&sinks[1]);
	if (rc < 0)
		return -1;
	answer.size = sinks[0].used;
	answer.cut = sinks[0].cut;
	*ret_answer = answer;
	answer.text = NULL;
	return 0;
}

void proc_answer_done(struct proc_answer *answer)
{
	free(answer->text);
}
