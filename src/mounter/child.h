/*
 * One rclone of the mounter, from its start to its end. The working directory is the folder of all
 * rclones: each has a folder of its own in it.
 */
#ifndef MOUNTER_CHILD_H
#define MOUNTER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/reactor.h"

struct child;

/* Both are called at most once per start, in the loop, never from within child_start(). */
struct child_observer {
	void (*ready)(void *data);
	/* The exit status: 0 to 255, or 128 + signal. */
	void (*ended)(void *data, int status);
	void *data;
};

struct child_plan {
	const char *rclone, *id;
	int rclone_fd;		  /* the same, opened; -1: only by its name */
	const char *const *flags; /* NULL-terminated */
	int fuse_fd;		  /* borrowed */
	int config_fd;		  /* borrowed, and kept open by the caller */
	int cache_fd;		  /* borrowed; -1: none, or `flags` name it */
	uint64_t memory_limit;	  /* bytes; 0: the default */
	struct child_observer observer;
};

/* NULL with `e` filled when it cannot be started. */
struct child *child_start(struct reactor *reactor, const struct child_plan *plan, struct err *e);

/* SIGKILL; `ended` comes later. */
void child_kill(struct child *child);

/* The last error or warning of its log, or "". Borrowed. */
const char *child_error(const struct child *child);

/* Of one that has ended. NULL is fine. */
void child_free(struct child *child);

#endif
