/* One call on a connection: an HTTP/2 stream from its headers to its trailers. */
#ifndef RPC_STREAM_H
#define RPC_STREAM_H

#include "rpc/call_run.h"
#include "rpc/connection.h"
#include "rpc/head.h"

struct worker;

struct stream {
	struct connection *connection;
	struct stream *prev, *next;
	int32_t id;
	struct head head;
	const struct rpc_method *method; /* NULL: unknown */
	struct frame body;
	int64_t started_ms, deadline_ms;
	struct reactor_timer *deadline;
	struct worker *worker; /* borrowed; it learns when the stream ends first */
	bool is_received;      /* the client has sent all */
	bool is_ready;	       /* to be started */
	bool is_answered;
	struct call_reply reply;
	size_t reply_sent;
	int64_t reply_since_ms; /* when the client last took bytes */
};

/* The callbacks of nghttp2 for all sessions. */
nghttp2_session_callbacks *stream_callbacks(void);

/* Starts the calls that are complete. Not inside a callback of nghttp2. */
void stream_start_ready(struct connection *connection);

/* Queues the answer; takes over the reply's buffer. The caller flushes the connection. */
void stream_reply(struct stream *stream, struct call_reply reply);
void stream_fail(struct stream *stream, const struct err *e);

/* Ends what a client holds open: a request that does not come, a reply that is not read. */
void stream_check_time(struct stream *stream, int64_t now_ms);

/* Whether stream_check_time() will have to look again. */
bool stream_is_waiting(const struct stream *stream);

/* Unlinks and frees; a worker goes on without it. */
void stream_free(struct stream *stream);

#endif
