/* One client: its socket, its HTTP/2 session, its calls. */
#ifndef RPC_CONNECTION_H
#define RPC_CONNECTION_H

#include "rpc/progress.h"
#include "rpc/server_private.h"

struct stream;

struct connection {
	struct rpc_server *server;
	struct connection *prev, *next;
	int fd;
	struct reactor_watch *watch;
	nghttp2_session *session;
	struct stream *streams, *streams_tail; /* in the order of arrival */
	unsigned stream_count;
	size_t reply_bytes; /* waiting to be read by the client */

	uint8_t *out; /* what the socket had no room for; NULL: nothing */
	size_t out_size, out_sent;
	int64_t out_since_ms; /* when the socket last took bytes */
	bool is_writing;      /* the watch waits for room in the socket */

	struct progress progress;
	int64_t accepted_ms;
	bool is_settled; /* SETTINGS have come: it speaks HTTP/2 */
	bool is_broken;	 /* to be closed once what is queued was offered */
	struct reactor_timer *watchdog;
};

/* Takes over fd, which is closed when it cannot be served. */
void connection_open(struct rpc_server *server, int fd);

/* Frees it with its calls; their workers go on. */
void connection_free(struct connection *connection);

/* Sends what is queued. May free the connection: the last thing a caller does with it. */
void connection_flush(struct connection *connection);

/* No new calls; ends when the last one is answered. May free the connection. */
void connection_drain(struct connection *connection);

#endif
