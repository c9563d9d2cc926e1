/*
 * syscallpoint: lets one thing go wrong at one system call of a worker.
 *
 * It attaches to a running driver, which goes on undisturbed, says `ready`, and steps the next
 * worker that the driver forks from call to call. Before the K-th it kills, or it makes that call
 * fail. Then it lets go of everything, reports and ends. Without a K-th call it reports how many
 * there were. Root may trace a process that is not dumpable.
 */
#include "options.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

enum { SYSCALL_STOP = SIGTRAP | 0x80, MAX_TRACEES = 64, TICK_US = 100000 };

enum role { ROLE_UNKNOWN, ROLE_DRIVER, ROLE_WORKER, ROLE_PROGRAM, ROLE_OTHER };

struct walk {
	const struct options *options;
	struct {
		pid_t pid;
		enum role role;
	} tracees[MAX_TRACEES];
	size_t tracee_count;
	pid_t worker;
	unsigned long calls;
	long number;   /* of the call that was struck */
	pid_t exit_of; /* its next exit stop is the one of the struck call */
	bool struck, over, is_driver_dead, is_worker_dead, cannot_fail;
	time_t deadline;
};

static const char *const call_names[] = {
#include "syscall_names.h"
};

/* Calls that no kernel refuses; some programs do not survive that it does. */
static const long never_fail[] = {
	SYS_exit,   SYS_exit_group, SYS_rt_sigreturn, SYS_getpid,      SYS_getppid,
	SYS_gettid, SYS_getuid,	    SYS_geteuid,      SYS_getgid,      SYS_getegid,
	SYS_umask,  SYS_alarm,	    SYS_getpgrp,      SYS_sched_yield,
};

static const char *call_name(long number)
{
	if (number < 0 || (size_t)number >= ARRAY_LEN(call_names) || !call_names[number])
		return "?";
	return call_names[number];
}

/* The only lines that know the processor. */
static void set_call_number(pid_t pid, long number)
{
	ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), number);
}

static void set_call_result(pid_t pid, long result)
{
	ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rax), result);
}

static pid_t parent_of(pid_t pid)
{
	char path[64], line[128];
	pid_t parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	while (!parent && fgets(line, sizeof(line), file))
		if (strncmp(line, "PPid:", 5) == 0)
			parent = (pid_t)strtol(line + 5, NULL, 10);
	fclose(file);
	return parent;
}

/* Two stops at each call are cheap only where no other processor has to be woken for them. */
static void share_processor(pid_t pid)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
	sched_setaffinity(pid, sizeof(set), &set);
}

static enum role new_role(struct walk *walk, pid_t pid)
{
	pid_t parent = parent_of(pid);

	if (pid == walk->options->driver)
		return ROLE_DRIVER;
	if (parent == walk->options->driver && !walk->worker) {
		walk->worker = pid;
		share_processor(pid);
		return ROLE_WORKER;
	}
	return walk->worker && parent == walk->worker ? ROLE_PROGRAM : ROLE_OTHER;
}

static enum role role_of(struct walk *walk, pid_t pid)
{
	for (size_t i = 0; i < walk->tracee_count; i++)
		if (walk->tracees[i].pid == pid)
			return walk->tracees[i].role;
	if (walk->tracee_count == MAX_TRACEES)
		return ROLE_OTHER;
	size_t i = walk->tracee_count++;
	walk->tracees[i].pid = pid;
	walk->tracees[i].role = new_role(walk, pid);
	return walk->tracees[i].role;
}

static bool is_counted(const struct walk *walk, enum role role)
{
	enum target target = walk->options->target;
	bool of_programs = target == TARGET_CHILDREN || target == TARGET_PROGRAM;

	return role == (of_programs ? ROLE_PROGRAM : ROLE_WORKER);
}

static void resume(struct walk *walk, pid_t pid, int signal_number)
{
	bool step = is_counted(walk, role_of(walk, pid)) && (!walk->struck || walk->exit_of == pid);

	/* ESRCH: it was killed meanwhile, and its end comes through waitpid. */
	ptrace(step ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, signal_number);
}

static bool can_fail(long number)
{
	for (size_t i = 0; i < ARRAY_LEN(never_fail); i++)
		if (never_fail[i] == number)
			return false;
	return true;
}

static void kill_target(struct walk *walk, pid_t pid, bool made)
{
	enum target target = walk->options->target;

	if (target == TARGET_DRIVER || target == TARGET_BOTH)
		kill(walk->options->driver, SIGKILL);
	if (target != TARGET_DRIVER) {
		/* The kernel does not make the call of a dying process either; be sure. */
		if (!made)
			set_call_number(pid, -1);
		kill(target == TARGET_PROGRAM ? pid : walk->worker, SIGKILL);
	}
	/* Now, while the worker stands still: afterwards it runs on alone. */
	if (target == TARGET_DRIVER)
		ptrace(PTRACE_DETACH, pid, 0, 0);
}

/* The call has come. A failing close has closed all the same. */
static void strike(struct walk *walk, pid_t pid, long number)
{
	walk->struck = true;
	walk->number = number;
	if (walk->options->errnum && !can_fail(number)) {
		walk->cannot_fail = true;
		resume(walk, pid, 0);
	} else if (walk->options->errnum || walk->options->after) {
		walk->exit_of = pid;
		if (walk->options->errnum && number != SYS_close)
			set_call_number(pid, -1);
		resume(walk, pid, 0);
	} else {
		kill_target(walk, pid, false);
	}
}

static void strike_exit(struct walk *walk, pid_t pid)
{
	walk->exit_of = 0;
	if (!walk->options->errnum) {
		kill_target(walk, pid, true);
		return;
	}
	set_call_result(pid, -walk->options->errnum);
	resume(walk, pid, 0);
}

static void on_call(struct walk *walk, pid_t pid)
{
	struct __ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && walk->exit_of == pid) {
		strike_exit(walk, pid);
		return;
	}
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY && !walk->struck) {
		walk->calls++;
		if (walk->options->list)
			fprintf(walk->options->report, "call %lu %s\n", walk->calls,
				call_name((long)info.entry.nr));
		if (walk->calls == walk->options->at) {
			strike(walk, pid, (long)info.entry.nr);
			return;
		}
	}
	resume(walk, pid, 0);
}

static void on_end(struct walk *walk, pid_t pid)
{
	enum target target = walk->options->target;
	bool killing = walk->struck && !walk->options->errnum;

	walk->is_driver_dead = walk->is_driver_dead || pid == walk->options->driver;
	walk->is_worker_dead = walk->is_worker_dead || pid == walk->worker;
	if (killing && target == TARGET_DRIVER)
		walk->over = walk->is_driver_dead;
	else if (killing && target == TARGET_BOTH)
		walk->over = walk->is_driver_dead && walk->is_worker_dead;
	else
		walk->over = walk->is_driver_dead || walk->is_worker_dead;
}

static void on_stop(struct walk *walk, pid_t pid, int status)
{
	int signal_number = WSTOPSIG(status), event = status >> 16;

	role_of(walk, pid);
	if (signal_number == SYSCALL_STOP)
		on_call(walk, pid);
	else
		resume(walk, pid, event ? 0 : signal_number);
}

static int run(struct walk *walk)
{
	int status;

	while (!walk->over) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno != EINTR)
			return -1;
		if (time(NULL) >= walk->deadline)
			return -1;
		if (pid < 0)
			continue;
		if (WIFSTOPPED(status))
			on_stop(walk, pid, status);
		else
			on_end(walk, pid);
	}
	return 0;
}

static void report(const struct walk *walk, bool in_time)
{
	const char *outcome = !in_time		  ? "timeout"
			      : walk->cannot_fail ? "cannot-fail"
			      : walk->struck	  ? "struck"
						  : "complete";

	fprintf(walk->options->report, "outcome %s\ncalls %lu\n", outcome, walk->calls);
	if (walk->struck)
		fprintf(walk->options->report, "name %s\nnumber %ld\n", call_name(walk->number),
			walk->number);
	fflush(walk->options->report);
}

static void on_tick(int signal_number)
{
	(void)signal_number;
}

/* No wait lasts longer than a tick. */
static void start_ticking(void)
{
	const struct sigaction action = { .sa_handler = on_tick }; /* no SA_RESTART */
	const struct itimerval tick = { { 0, TICK_US }, { 0, TICK_US } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
}

int main(int argc, char **argv)
{
	struct options options = { .seconds = 60, .report = stdout };
	struct walk walk = { .options = &options };

	options_parse(&options, argc, argv);
	start_ticking();
	walk.deadline = time(NULL) + options.seconds;
	if (ptrace(PTRACE_SEIZE, options.driver, 0,
		   PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
			   PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD) < 0) {
		fprintf(stderr, "syscallpoint: cannot trace %d: %s\n", (int)options.driver,
			strerror(errno));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	bool in_time = run(&walk) == 0;
	report(&walk, in_time);
	/* What is still traced is let go by the kernel as this process ends. */
	return in_time ? 0 : 3;
}
