/* The server: its listener, its limits, its end. */
#include "rpc/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/connection.h"
#include "rpc/stream.h"
#include "rpc/worker.h"

#define ACCEPT_AT_ONCE 16
#define ACCEPT_PAUSE_MS 100

static struct rpc_limits with_defaults(const struct rpc_limits *given)
{
	struct rpc_limits limits = given ? *given : (struct rpc_limits){ 0 };

#define DEFAULT(field, value) limits.field = limits.field ? limits.field : (value)
	DEFAULT(workers, 32);
	DEFAULT(connections, 64);
	DEFAULT(streams, 100);
	DEFAULT(request_bytes, (size_t)1 << 20);
	DEFAULT(reply_bytes, (size_t)4 << 20);
	DEFAULT(header_bytes, (size_t)16 << 10);
	DEFAULT(total_request_bytes, (size_t)32 << 20);
	DEFAULT(worker_ms, 10 * 60 * 1000);
	DEFAULT(idle_progress_ms, 30 * 1000);
	DEFAULT(handshake_ms, 10 * 1000);
#undef DEFAULT
	return limits;
}

static nghttp2_option *session_options(void)
{
	nghttp2_option *options;

	if (nghttp2_option_new(&options) != 0)
		abort();
	/* rpc/head.c judges the headers: old clients send a socket's path as :authority. */
	nghttp2_option_set_no_http_messaging(options, 1);
	nghttp2_option_set_no_closed_streams(options, 1);
	return options;
}

struct rpc_server *rpc_server_new(struct reactor *reactor, const struct rpc_method *methods,
				  size_t count, const struct rpc_limits *limits)
{
	struct rpc_server *server = xcalloc(1, sizeof(*server));

	server->reactor = reactor;
	server->methods = methods;
	server->method_count = count;
	server->limits = with_defaults(limits);
	server->callbacks = stream_callbacks();
	server->options = session_options();
	server->listener.fd = -1;
	server->budget = (struct frame_budget){
		.each = server->limits.request_bytes,
		.left = server->limits.total_request_bytes,
	};
	return server;
}

void rpc_server_observe(struct rpc_server *server, const struct rpc_observer *observer)
{
	server->observer = *observer;
}

void rpc_server_keep_in_workers(struct rpc_server *server, int fd)
{
	size_t at = server->keep_count;

	if (at == ARRAY_LEN(server->keep))
		abort();
	for (; at > 0 && server->keep[at - 1] > fd; at--)
		server->keep[at] = server->keep[at - 1];
	server->keep[at] = fd;
	server->keep_count++;
}

static void resume_accept(void *data)
{
	struct rpc_server *server = data;

	server->accept_pause = NULL;
	if (server->listen_watch)
		reactor_watch_events(server->listen_watch, EPOLLIN);
}

/* Out of descriptors or memory: a level-triggered loop would spin until some are back. */
static void pause_accept(struct rpc_server *server, int accept_errno)
{
	log_warn("cannot accept a connection now", KV("error", strerror(accept_errno)));
	reactor_watch_events(server->listen_watch, 0);
	server->accept_pause =
		reactor_after(server->reactor, ACCEPT_PAUSE_MS, resume_accept, server);
}

static void refuse_connection(struct rpc_server *server, int fd)
{
	if (!server->is_full)
		log_warn("too many connections, refusing more",
			 KV("limit", server->limits.connections));
	server->is_full = true;
	close(fd);
}

static void on_accept(void *data, uint32_t events)
{
	struct rpc_server *server = data;

	(void)events;
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		int fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0 && server->connection_count >= server->limits.connections)
			refuse_connection(server, fd);
		else if (fd >= 0)
			connection_open(server, fd);
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR && errno != ECONNABORTED)
			return pause_accept(server, errno);
	}
}

int rpc_server_listen(struct rpc_server *server, const char *socket_path, struct err *e)
{
	if (listener_open(&server->listener, socket_path, e) < 0)
		return -1;
	server->listen_watch =
		reactor_watch(server->reactor, server->listener.fd, EPOLLIN, on_accept, server, e);
	if (!server->listen_watch) {
		listener_close(&server->listener);
		return -1;
	}
	return 0;
}

static void stop_listening(struct rpc_server *server)
{
	reactor_cancel(TAKE(server->accept_pause, NULL));
	reactor_unwatch(TAKE(server->listen_watch, NULL));
	listener_close(&server->listener);
}

static void on_end(void *data)
{
	struct rpc_server *server = data;

	server->end = NULL;
	reactor_cancel(TAKE(server->grace, NULL));
	server->done(server->done_data);
}

void server_check_shutdown(struct rpc_server *server)
{
	if (!server->is_shutting_down || server->end || server->connections ||
	    worker_any_unfinished(server))
		return;
	server->end = reactor_after(server->reactor, 0, on_end, server);
}

static void on_grace_over(void *data)
{
	struct rpc_server *server = data;

	server->grace = NULL;
	log_warn("shutting down while calls are running", KV("workers", server->worker_count));
	while (server->connections)
		connection_free(server->connections);
	if (!server->end)
		server->end = reactor_after(server->reactor, 0, on_end, server);
}

void rpc_server_shutdown(struct rpc_server *server, int64_t grace_ms, void (*done)(void *data),
			 void *data)
{
	if (server->is_shutting_down)
		return;
	stop_listening(server);
	server->is_shutting_down = true;
	server->done = done;
	server->done_data = data;
	server->grace = reactor_after(server->reactor, grace_ms, on_grace_over, server);
	for (struct connection *at = server->connections; at;) {
		struct connection *next = at->next;

		connection_drain(at);
		at = next;
	}
	server_check_shutdown(server);
}

void rpc_server_free(struct rpc_server *server)
{
	if (!server)
		return;
	server->is_shutting_down = false; /* nobody is to be told any more */
	stop_listening(server);
	while (server->connections)
		connection_free(server->connections);
	worker_forget_all(server);
	reactor_cancel(server->grace);
	reactor_cancel(server->end);
	nghttp2_session_callbacks_del(server->callbacks);
	nghttp2_option_del(server->options);
	free(server);
}
