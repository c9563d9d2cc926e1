/*
 * Children that are programs: mkfs, fsck, resize tools. They die with us (PDEATHSIG), get a
 * clean environment, /dev/null as input, and no descriptor of ours but held locks.
 */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stddef.h>
#include <stdint.h>

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

#endif
