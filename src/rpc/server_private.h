/* What the files of rpc/ share about a server. */
#ifndef RPC_SERVER_PRIVATE_H
#define RPC_SERVER_PRIVATE_H

#include <nghttp2/nghttp2.h>

#include "rpc/frame.h"
#include "rpc/listener.h"
#include "rpc/server.h"

#define SERVER_READ_SIZE ((size_t)64 << 10)
#define SERVER_WRITE_SIZE ((size_t)64 << 10)
#define SERVER_KEEP_MAX 32

struct connection;
struct worker;

struct rpc_server {
	struct reactor *reactor;
	const struct rpc_method *methods;
	size_t method_count;
	struct rpc_limits limits;
	struct rpc_observer observer;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *options;

	struct listener listener;
	struct reactor_watch *listen_watch;
	struct reactor_timer *accept_pause;
	bool is_full; /* a connection was refused and none has ended since */
	struct connection *connections;
	unsigned connection_count;
	struct frame_budget budget; /* of requests that are being received */

	struct worker *workers;
	struct worker *large_reply; /* the one worker whose large reply is being read */
	unsigned worker_count;	    /* processes: a killed one counts until it is gone */
	int keep[SERVER_KEEP_MAX];  /* ascending */
	size_t keep_count;

	bool is_shutting_down;
	struct reactor_timer *grace;
	struct reactor_timer *end; /* calls `done` outside of anybody's callback */
	void (*done)(void *data);
	void *done_data;

	uint8_t read_buffer[SERVER_READ_SIZE]; /* wiped after each use */
	uint8_t write_buffer[SERVER_WRITE_SIZE];
};

/* How one call ended, for its log line. */
struct call_record {
	const char *path;
	bool is_known;	     /* path is a method of ours */
	bool is_quiet;	     /* a success is worth a debug line only */
	const char *subject; /* "" or what the call was about */
	const char *client;  /* "" or what the client got instead of this outcome */
	int64_t started_ms;
};

/* The one log line of a call, and the observer. `e` with ERR_OK is a success. */
void server_call_finished(struct rpc_server *server, const struct call_record *record,
			  const struct err *e);

/* To be called whenever a connection or a worker has ended. */
void server_check_shutdown(struct rpc_server *server);

/* Tells the observer how long the steps of a call took, as far as the numbers make sense. */
void server_steps_taken(struct rpc_server *server, const struct step_times *times);

/* Tells the observer how many workers there are. */
void server_workers_changed(struct rpc_server *server);

/*
 * In a forked worker: forgets every other call that was being received, closes everything but
 * `pipe_fd` and what is to be kept.
 */
void server_forget_in_worker(struct rpc_server *server, int pipe_fd);

#endif
