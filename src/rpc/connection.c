/* Bytes in and out of one client. */
#include "rpc/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "rpc/stream.h"

#define MAX_FRAME ((size_t)16384 + 9)
#define STREAM_WINDOW (1 << 20) /* a request of the default limit does not stall */
#define CONNECTION_WINDOW (4 << 20)

static void arm_watchdog(struct connection *connection);

void connection_free(struct connection *connection)
{
	struct rpc_server *server = connection->server;

	while (connection->streams)
		stream_free(connection->streams);
	if (connection->prev)
		connection->prev->next = connection->next;
	else
		server->connections = connection->next;
	if (connection->next)
		connection->next->prev = connection->prev;
	server->connection_count--;
	server->is_full = false;
	reactor_cancel(connection->watchdog);
	reactor_unwatch(connection->watch);
	close(connection->fd);
	nghttp2_session_del(connection->session);
	free(connection->out);
	free(connection);
	server_check_shutdown(server);
}

/*
 * Gathers what the session wants to send: its pieces are small, and each lives until the next
 * call. A piece is at most a frame with its header.
 */
static size_t gather(struct connection *connection)
{
	uint8_t *buffer = connection->server->write_buffer;
	size_t used = 0;

	while (SERVER_WRITE_SIZE - used >= MAX_FRAME) {
		const uint8_t *bytes;
		ssize_t size = nghttp2_session_mem_send(connection->session, &bytes);

		if (size < 0)
			connection->is_broken = true;
		if (size <= 0)
			break;
		if ((size_t)size > SERVER_WRITE_SIZE - used)
			abort();
		memcpy(buffer + used, bytes, (size_t)size);
		used += (size_t)size;
	}
	return used;
}

/* How many bytes the socket took, -1 when the client is gone. */
static ssize_t send_some(struct connection *connection, const uint8_t *bytes, size_t size)
{
	size_t sent = 0;

	while (sent < size) {
		ssize_t count = send(connection->fd, bytes + sent, size - sent, MSG_NOSIGNAL);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			break;
		if (count < 0)
			return -1;
		sent += (size_t)count;
	}
	if (sent)
		connection->out_since_ms = clock_ms();
	return (ssize_t)sent;
}

/* Keeps what the socket has no room for. */
static void keep_rest(struct connection *connection, const uint8_t *bytes, size_t size)
{
	connection->out = xcalloc(1, size);
	connection->out_size = size;
	connection->out_sent = 0;
	memcpy(connection->out, bytes, size);
}

/* Sends what was kept before. False when the client is gone. */
static bool send_rest(struct connection *connection)
{
	ssize_t sent = send_some(connection, connection->out + connection->out_sent,
				 connection->out_size - connection->out_sent);

	if (sent < 0)
		return false;
	connection->out_sent += (size_t)sent;
	if (connection->out_sent == connection->out_size) {
		free(connection->out);
		connection->out = NULL;
	}
	return true;
}

/* Sends until there is nothing more or the socket is full. False when the client is gone. */
static bool send_all(struct connection *connection)
{
	const uint8_t *buffer = connection->server->write_buffer;

	if (connection->out && !send_rest(connection))
		return false;
	while (!connection->out) {
		size_t size = gather(connection);
		ssize_t sent = send_some(connection, buffer, size);

		if (sent < 0)
			return false;
		if (size == 0)
			return true;
		if ((size_t)sent < size) {
			connection->out_since_ms = clock_ms();
			keep_rest(connection, buffer + sent, size - (size_t)sent);
		}
	}
	return true;
}

static bool is_over(const struct connection *connection)
{
	return connection->is_broken || (!nghttp2_session_want_read(connection->session) &&
					 !nghttp2_session_want_write(connection->session));
}

void connection_flush(struct connection *connection)
{
	bool is_there = send_all(connection);

	/* What a broken session had to say was offered; nobody waits for its reader. */
	if (!is_there || is_over(connection)) {
		connection_free(connection);
		return;
	}
	if (connection->is_writing != (connection->out != NULL)) {
		connection->is_writing = connection->out != NULL;
		reactor_watch_events(connection->watch,
				     EPOLLIN | (connection->is_writing ? EPOLLOUT : 0));
	}
	arm_watchdog(connection);
}

void connection_drain(struct connection *connection)
{
	nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(connection->session),
			      NGHTTP2_NO_ERROR, NULL, 0);
	connection_flush(connection);
}

/* False when the client is gone. */
static bool read_in(struct connection *connection)
{
	uint8_t *buffer = connection->server->read_buffer;
	ssize_t count = recv(connection->fd, buffer, SERVER_READ_SIZE, 0);

	if (count < 0)
		return errno == EAGAIN || errno == EINTR;
	if (count == 0)
		return false;
	progress_feed(&connection->progress, buffer, (size_t)count, clock_ms());
	ssize_t used = nghttp2_session_mem_recv(connection->session, buffer, (size_t)count);
	secret_wipe(buffer, (size_t)count);
	if (used == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
		return false;
	if (used < 0)
		connection->is_broken = true;
	return true;
}

static void on_socket(void *data, uint32_t events)
{
	struct connection *connection = data;

	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !read_in(connection)) {
		connection_free(connection);
		return;
	}
	if (!connection->is_broken)
		stream_start_ready(connection);
	connection_flush(connection);
}

static bool has_time(int64_t since_ms, int64_t limit_ms, int64_t now_ms)
{
	return !since_ms || now_ms - since_ms < limit_ms;
}

static void on_watchdog(void *data)
{
	struct connection *connection = data;
	const struct rpc_limits *limits = &connection->server->limits;
	int64_t now = clock_ms();

	connection->watchdog = NULL;
	if (!connection->is_settled &&
	    !has_time(connection->accepted_ms, limits->handshake_ms, now)) {
		log_debug("closing a connection that does not speak HTTP/2");
		connection_free(connection);
		return;
	}
	if (!has_time(connection->progress.since_ms, limits->idle_progress_ms, now) ||
	    (connection->out &&
	     !has_time(connection->out_since_ms, limits->idle_progress_ms, now))) {
		log_info("closing a connection that makes no progress");
		connection_free(connection);
		return;
	}
	for (struct stream *stream = connection->streams; stream; stream = stream->next)
		stream_check_time(stream, now);
	connection_flush(connection);
}

/* An idle connection has no timer: nothing is to happen on it. */
static void arm_watchdog(struct connection *connection)
{
	const struct rpc_limits *limits = &connection->server->limits;
	bool is_waiting =
		!connection->is_settled || connection->progress.since_ms || connection->out;

	for (struct stream *at = connection->streams; at && !is_waiting; at = at->next)
		is_waiting = stream_is_waiting(at);
	if (connection->watchdog || !is_waiting)
		return;
	int64_t period = limits->idle_progress_ms;
	if (!connection->is_settled && limits->handshake_ms < period)
		period = limits->handshake_ms;
	connection->watchdog =
		reactor_after(connection->server->reactor, period / 4 + 1, on_watchdog, connection);
}

static void say_hello(struct connection *connection)
{
	const struct rpc_limits *limits = &connection->server->limits;
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->header_bytes },
	};

	nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings,
				ARRAY_LEN(settings));
	nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0,
					      CONNECTION_WINDOW);
}

void connection_open(struct rpc_server *server, int fd)
{
	struct connection *connection = xcalloc(1, sizeof(*connection));
	struct err e = { 0 };

	*connection = (struct connection){
		.server = server,
		.fd = fd,
		.accepted_ms = clock_ms(),
	};
	progress_init(&connection->progress);
	connection->watch = reactor_watch(server->reactor, fd, EPOLLIN, on_socket, connection, &e);
	if (!connection->watch) {
		log_warn("cannot serve a connection", KV("error", e.msg));
		close(fd);
		free(connection);
		return;
	}
	if (nghttp2_session_server_new2(&connection->session, server->callbacks, connection,
					server->options) != 0)
		abort();
	connection->next = server->connections;
	if (connection->next)
		connection->next->prev = connection;
	server->connections = connection;
	server->connection_count++;
	say_hello(connection);
	connection_flush(connection);
}
