/* What a worker does from its first to its last instruction. */
#ifndef RPC_WORKER_CHILD_H
#define RPC_WORKER_CHILD_H

#include "base/macros.h"
#include "rpc/job.h"
#include "rpc/stream.h"

/* In the forked process: runs the call of the stream, writes its outcome to the pipe, exits. */
void worker_child_run(struct stream *stream, int pipe_fd) NORETURN;

/* The same for a job. */
void worker_child_job(struct rpc_server *server, const struct rpc_job *job, int pipe_fd) NORETURN;

#endif
