/*
 * Work of the driver's own beside the calls: run as a call is, in a worker with the limits of all
 * workers, because the loop may not block.
 */
#ifndef RPC_JOB_H
#define RPC_JOB_H

#include "rpc/server.h"

struct rpc_job {
	const char *name; /* as ps shows the worker, at most 15 characters; static */
	/* In the worker. *ret_text is owned by the caller of it. -1 with `e` on failure. */
	int (*run)(void *data, char **ret_text, struct err *e);
	/* In the loop, once, unless the server is freed before. `text` (borrowed) is NULL after a
	 * failure, which `e` tells: the job's own, or that its worker died or took too long. */
	void (*done)(void *data, const char *text, const struct err *e);
	void *data;
};

/* UNAVAILABLE when too many workers run or no process can be had: `done` is not called. */
int rpc_server_start_job(struct rpc_server *server, const struct rpc_job *job,
			 struct err *e) MUST_CHECK;

#endif
