/* Children that go on: servers, watched by their pidfd, or left to themselves. */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define SPAWN_FDS_MAX 4

struct spawn {
	const char *const *argv; /* argv[0] is an absolute path */
	const char *const *environment;
	int fds[SPAWN_FDS_MAX]; /* become 3, 4, ... in the child; nothing else stays open */
	size_t fd_count;
	/*
	 * The program, opened: executed where this process may not reach argv[0]. -1: none.
	 */
	int program_fd;
	int errors_fd; /* stdout and stderr; -1: as ours */
	/*
	 * Ours: dies with us, without capabilities and without a way to get any. Detached: a
	 * session of its own, nobody's child; it lives as long as it wants.
	 */
	bool detached;
};

/*
 * Starts the program. *ret_pid and *ret_pid_fd (owned by the caller) are set for a child that is
 * ours; pass NULL for a detached one. FAILED_PRECONDITION when the program cannot be run.
 */
int spawn_program(const struct spawn *spawn, pid_t *ret_pid, int *ret_pid_fd,
		  struct err *e) MUST_CHECK;

#endif
