/*
 * A gRPC server for unary calls on unix sockets, driven by the event loop.
 *
 * The loop reads, checks limits, answers the methods that cannot block and relays the rest: a
 * method `in_worker` runs in a process of its own, forked for the call. Whatever a worker does
 * (hang in the kernel, crash, leak) the loop goes on. A worker is not stopped when its client
 * gives up or this process dies; only worker_ms ends it (and, in a pod, the end of the container).
 */
#ifndef RPC_SERVER_H
#define RPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reactor.h"
#include "base/step.h"
#include "rpc/call.h"

struct rpc_server;

struct rpc_method {
	const char *path; /* "/csi.v1.Node/NodeStageVolume" */
	const ProtobufCMessageDescriptor *request;
	rpc_handler *handle;
	void *service;	/* handed to the handler */
	bool in_worker; /* false: answered in the loop, must never block */
};

/* A field that is 0 takes its default. */
struct rpc_limits {
	unsigned workers;     /* 32; more calls at once: UNAVAILABLE */
	unsigned connections; /* 64; more are closed */
	unsigned streams;     /* 100 calls at once on a connection */
	size_t request_bytes; /* 1 MiB; larger: RESOURCE_EXHAUSTED */
	size_t reply_bytes;   /* 4 MiB; larger: INTERNAL. Twice that may wait per connection */
	size_t header_bytes;  /* 16 KiB as HTTP/2 counts them */
	size_t total_request_bytes; /* 32 MiB in all requests that are being received */
	int64_t worker_ms;	    /* 10 min, then the worker is killed */
	int64_t idle_progress_ms;   /* 30 s for one frame, one request, or a peer that must read */
	int64_t handshake_ms;	    /* 10 s from connecting to HTTP/2 SETTINGS */
};

/* For metrics. `method` is the table's own text, without its service, or "unknown": it stays. */
struct rpc_observer {
	void (*finished)(void *data, const char *method, enum err_code code, int64_t ms);
	void (*workers)(void *data, unsigned running);
	void (*step)(void *data, enum step step, int64_t ms); /* NULL: not told */
	void *data;
};

/* `methods` is borrowed for the server's life; limits may be NULL. Never NULL. */
struct rpc_server *rpc_server_new(struct reactor *reactor, const struct rpc_method *methods,
				  size_t count, const struct rpc_limits *limits);

/* Sets what is told about calls; copied. To be called before rpc_server_listen(). */
void rpc_server_observe(struct rpc_server *server, const struct rpc_observer *observer);

/*
 * Names a descriptor (borrowed) that workers need, such as that of a directory. A worker keeps
 * 0 to 2 and these; every other descriptor is closed in it. At most 32 of them.
 */
void rpc_server_keep_in_workers(struct rpc_server *server, int fd);

/*
 * Serves on a new unix socket of mode 0660; once per server. A socket that nobody serves is
 * replaced. FAILED_PRECONDITION when a living process serves it or the path is no socket,
 * INVALID_ARGUMENT when the path is longer than the kernel allows.
 */
int rpc_server_listen(struct rpc_server *server, const char *socket_path, struct err *e) MUST_CHECK;

/*
 * Stops listening at once (the socket is removed if it is still ours), lets the calls that run
 * finish, closes the connections and calls `done` from the loop: after grace_ms at the latest.
 * `done` may free the server. Workers still running then go on without us.
 */
void rpc_server_shutdown(struct rpc_server *server, int64_t grace_ms, void (*done)(void *data),
			 void *data);

/* Closes and frees everything; workers go on. Not from inside a handler. NULL is fine. */
void rpc_server_free(struct rpc_server *server);

#endif
