/*
 * The CSI socket: a connection of rpc/ with everything behind it. The first byte chooses how the
 * bytes are cut, and whether the rest is raw, or pieces from which whole frames and whole calls
 * are made, so that more than the first frame is looked at.
 */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "rpc/connection.h"

enum { OUT_MAX = 128 << 10, RAW = 1, STEP_SHIFT = 1, PIECE_CALL = 0xff };

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct client {
	struct reactor *reactor;
	struct reactor_watch *watch;
	uint8_t *out; /* what it sends */
	size_t size, sent, step;
	int fd;
};

static void add(struct client *client, const void *bytes, size_t size)
{
	if (size > OUT_MAX - client->size)
		return;
	memcpy(client->out + client->size, bytes, size);
	client->size += size;
}

static void add_frame(struct client *client, uint8_t type, uint8_t flags, uint8_t stream,
		      const void *payload, size_t size)
{
	const uint8_t head[9] = { (uint8_t)(size >> 16),
				  (uint8_t)(size >> 8),
				  (uint8_t)size,
				  type,
				  flags,
				  0,
				  0,
				  0,
				  stream };

	add(client, head, sizeof(head));
	add(client, payload, size);
}

/* A header field of HPACK without indexing and without Huffman. */
static size_t put_header(uint8_t *at, const char *name, const char *value)
{
	size_t name_size = strlen(name), value_size = strlen(value);

	at[0] = 0;
	at[1] = (uint8_t)name_size;
	memcpy(at + 2, name, name_size);
	at[2 + name_size] = (uint8_t)value_size;
	memcpy(at + 3 + name_size, value, value_size);
	return 3 + name_size + value_size;
}

static void add_call(struct client *client, const struct world *world, struct input *input)
{
	const char *path = world->methods[input_u8(input) % world->count].path;
	uint8_t stream = input_u8(input);
	uint8_t head[512], body[FRAME_PREFIX + 4096];
	size_t used = put_header(head, ":method", "POST"), size, wanted = input_u16(input) % 4096;
	const uint8_t *message = input_bytes(input, wanted, &size);

	used += put_header(head + used, ":scheme", "http");
	used += put_header(head + used, ":path", path);
	used += put_header(head + used, ":authority", "/csi/csi.sock");
	used += put_header(head + used, "content-type", "application/grpc");
	used += put_header(head + used, "te", "trailers");
	add_frame(client, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, stream, head, used);
	frame_put_prefix(body, size);
	if (size)
		memcpy(body + FRAME_PREFIX, message, size);
	add_frame(client, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, stream, body, FRAME_PREFIX + size);
}

static void compose(struct client *client, const struct world *world, struct input *input)
{
	uint8_t mode = input_u8(input);

	client->step = (size_t)1 << ((mode >> STEP_SHIFT) % 16);
	if (mode & RAW) {
		add(client, input->at, input->left);
		return;
	}
	add(client, preface, sizeof(preface) - 1);
	add_frame(client, NGHTTP2_SETTINGS, 0, 0, "", 0);
	while (input->left) {
		uint8_t type = input_u8(input);
		size_t size;

		if (type == PIECE_CALL) {
			add_call(client, world, input);
			continue;
		}
		uint8_t flags = input_u8(input), stream = input_u8(input);
		size_t wanted = input_u16(input);
		const uint8_t *payload = input_bytes(input, wanted, &size);
		add_frame(client, type, flags, stream, payload, size);
	}
}

static void on_client(void *data, uint32_t events)
{
	struct client *client = data;
	uint8_t scratch[16384];

	if (events & EPOLLOUT) {
		size_t part = client->size - client->sent;
		ssize_t sent = send(client->fd, client->out + client->sent,
				    part < client->step ? part : client->step, MSG_NOSIGNAL);

		client->sent += sent > 0 ? (size_t)sent : 0;
		if (sent < 0 || client->sent == client->size) {
			shutdown(client->fd, SHUT_WR);
			reactor_watch_events(client->watch, EPOLLIN);
		}
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	ssize_t got = recv(client->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
	if (got == 0 || (got < 0 && errno != EAGAIN))
		reactor_stop(client->reactor);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	struct world *world = world_get();
	struct err e = { 0 };
	struct reactor *reactor = reactor_new(&e);
	struct rpc_server *server = rpc_server_new(reactor, world->methods, world->count, NULL);
	struct client client = { .reactor = reactor, .out = xcalloc(1, OUT_MAX) };
	int fds[2];

	compose(&client, world, &input);
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	client.fd = fds[1];
	connection_open(server, fds[0]);
	client.watch =
		reactor_watch(reactor, client.fd, EPOLLIN | EPOLLOUT, on_client, &client, &e);
	FUZZ_CHECK(client.watch && reactor_run(reactor, &e) == 0);

	/* Nothing of the client is left. */
	FUZZ_CHECK(server->connection_count == 0 && !server->connections && !server->workers);
	FUZZ_CHECK(server->budget.left == server->limits.total_request_bytes);
	reactor_unwatch(client.watch);
	close(client.fd);
	free(client.out);
	rpc_server_free(server);
	reactor_free(reactor);
	return 0;
}
