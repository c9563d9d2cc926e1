/* Children that go on. */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/priority.h"
#include "base/privileges.h"

enum { FIRST_FD = 3, OUT_OF_THE_WAY = 64 };

static NORETURN void execute(const struct spawn *spawn, int program_fd)
{
	char *const *argv = (char *const *)spawn->argv;
	char *const *environment = (char *const *)spawn->environment;

	/* By its name if possible: what is executed by descriptor is called by its number. */
	execve(argv[0], argv, environment);
	if (errno == EACCES && program_fd >= 0)
		execveat(program_fd, "", argv, environment, AT_EMPTY_PATH);
	_exit(127);
}

/*
 * Below any number that the child may get, so that no copy is overwritten by another. Returns where
 * the program is now.
 */
static int place_fds(const struct spawn *spawn)
{
	int high[SPAWN_FDS_MAX], program = -1, next = FIRST_FD + (int)spawn->fd_count;

	for (size_t i = 0; i < spawn->fd_count; i++)
		high[i] = fcntl(spawn->fds[i], F_DUPFD, OUT_OF_THE_WAY);
	if (spawn->program_fd >= 0)
		program = fcntl(spawn->program_fd, F_DUPFD, OUT_OF_THE_WAY);
	for (size_t i = 0; i < spawn->fd_count; i++)
		if (high[i] < 0 || dup2(high[i], FIRST_FD + (int)i) < 0)
			_exit(127);
	if (program >= 0)
		program = dup3(program, next++, O_CLOEXEC);
	close_range((unsigned)next, ~0u, 0);
	return program;
}

static NORETURN void become(const struct spawn *spawn, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;

	if (spawn->detached) {
		setsid();
		priority_restore();
	} else {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(127);
		privileges_drop();
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(null, STDIN_FILENO);
	if (spawn->errors_fd >= 0) {
		dup2(spawn->errors_fd, STDOUT_FILENO);
		dup2(spawn->errors_fd, STDERR_FILENO);
	}
	execute(spawn, place_fds(spawn));
}

/* A grandchild whose parent has ended is nobody's child. */
static NORETURN void leave_behind(const struct spawn *spawn)
{
	pid_t pid = fork();

	if (pid == 0)
		become(spawn, 0);
	_exit(pid < 0 ? 1 : 0);
}

static int spawn_detached(const struct spawn *spawn, struct err *e)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		leave_behind(spawn);
	if (pid < 0)
		return err_sys(e, errno, "cannot start '%s'", spawn->argv[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0
		       ? 0
		       : err_set(e, ERR_INTERNAL, "cannot start '%s'", spawn->argv[0]);
}

int spawn_program(const struct spawn *spawn, pid_t *ret_pid, int *ret_pid_fd, struct err *e)
{
	pid_t self = getpid();

	if (spawn->program_fd < 0 && access(spawn->argv[0], X_OK) < 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "program '%s' cannot be run on this node: %s", spawn->argv[0],
			       strerror(errno));
	if (spawn->detached)
		return spawn_detached(spawn, e);
	pid_t pid = fork();
	if (pid == 0)
		become(spawn, self);
	if (pid < 0)
		return err_sys(e, errno, "cannot start '%s'", spawn->argv[0]);
	int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pid_fd < 0) {
		int errnum = errno;

		kill(pid, SIGKILL);
		return err_sys(e, errnum, "cannot watch '%s'", spawn->argv[0]);
	}
	*ret_pid = pid;
	*ret_pid_fd = pid_fd;
	return 0;
}
