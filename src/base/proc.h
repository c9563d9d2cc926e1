/*
 * Children that are programs: mkfs, fsck, resize tools. They die with us (PDEATHSIG), get a
 * clean environment, /dev/null as input, and no descriptor of ours but held locks.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct proc_result {
	int exit_code;	   /* -1: died of a signal */
	char output[2048]; /* the last part of stdout and stderr, control characters made spaces */
};

/*
 * Runs argv[0] (looked up in a fixed path: /usr/sbin:/usr/bin:/sbin:/bin) and waits up to
 * timeout_ms; then kills it. A started program that ended is 0, whatever its exit code.
 * FAILED_PRECONDITION when the program does not exist, naming it; DEADLINE_EXCEEDED after the
 * timeout, also where the kernel does not let the program die: then it is left behind, with the
 * locks that it holds; INTERNAL otherwise.
 */
int proc_run(const char *const argv[], int64_t timeout_ms, struct proc_result *ret_result,
	     struct err *e) MUST_CHECK;

/* A program that is asked something: what it says on stdout is the answer. */
struct proc_question {
	const char *const *argv; /* argv[0] is an absolute path */
	const char *const *environment;
	int input_fd;	     /* read as stdin; -1: /dev/null */
	int kept_fd;	     /* stays open under its number, as /dev/fd/N; -1: none */
	size_t answer_limit; /* bytes of stdout that are kept: the first ones */
	int64_t timeout_ms;
	/*
	 * Not 0: without capabilities, without a way to get any, behind base/syscalls.h, and as
	 * this user and group, if we may start programs as another user at all.
	 */
	uid_t user;
};

struct proc_answer {
	int exit_code; /* -1: died of a signal */
	char *text;    /* of stdout, with a NUL behind it */
	size_t size;
	bool cut;	   /* there was more */
	char errors[2048]; /* the last part of stderr, control characters made spaces */
};

/* As proc_run(), for an own environment, and with stdout apart from stderr. */
int proc_ask(const struct proc_question *question, struct proc_answer *ret_answer,
	     struct err *e) MUST_CHECK;
void proc_answer_done(struct proc_answer *answer);
#define auto_proc_answer __attribute__((cleanup(proc_answer_done)))

#endif
