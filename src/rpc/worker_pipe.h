/*
 * What a worker tells through its pipe: what the call is about, how long it took, how it ended. The
 * reader believes nothing: the writer may have overwritten its own memory.
 */
#ifndef RPC_WORKER_PIPE_H
#define RPC_WORKER_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/step.h"
#include "rpc/call_run.h"

/* The side of the worker. Failures are ignored: the reader may be gone. */
void worker_pipe_subject(int fd, const char *subject);
void worker_pipe_steps(int fd);
void worker_pipe_reply(int fd, const struct call_reply *reply);
void worker_pipe_text(int fd, const char *text); /* a reply too */
void worker_pipe_error(int fd, const struct err *e);

enum worker_pipe_state {
	WORKER_PIPE_OPEN,   /* more may come */
	WORKER_PIPE_DONE,   /* `reply` or `e` holds the outcome */
	WORKER_PIPE_LARGE,  /* a large reply stands in it, and may_be_large is not set */
	WORKER_PIPE_CLOSED, /* it ended without an outcome */
	WORKER_PIPE_BROKEN  /* it made no sense */
};

struct worker_pipe {
	struct {
		uint32_t kind, size;
	} head;
	size_t head_used;
	uint8_t *payload; /* owned; with room for a reply's prefix at its front */
	size_t payload_used;
	size_t reply_limit;
	bool may_be_large; /* set by the reader: take what needs more than a pipe's room */
	char subject[CALL_SUBJECT_SIZE];
	bool has_steps;
	struct step_times steps; /* any numbers */
	struct call_reply reply; /* owned until taken */
	struct err e;
};

/* Reads what is there from a non-blocking descriptor. */
enum worker_pipe_state worker_pipe_read(struct worker_pipe *pipe, int fd);

void worker_pipe_free(struct worker_pipe *pipe);

#endif
