/* ops/http.c: the port of probes and metrics. The file is built in to reach its client. */
#include "input.h"

#include "ops/metrics.h"

#include "ops/http.c" /* NOLINT(bugprone-suspicious-include) */

struct peer {
	struct reactor *reactor;
	struct reactor_watch *watch;
	struct input input;
	size_t step;
	int fd;
	char answer[65536];
	size_t received;
};

static void on_peer(void *data, uint32_t events)
{
	struct peer *peer = data;

	if (events & EPOLLOUT) {
		size_t size;
		const uint8_t *bytes = input_bytes(&peer->input, peer->step, &size);

		if (size == 0 || send(peer->fd, bytes, size, MSG_NOSIGNAL) < 0) {
			shutdown(peer->fd, SHUT_WR);
			reactor_watch_events(peer->watch, EPOLLIN);
		}
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	ssize_t got = recv(peer->fd, peer->answer + peer->received,
			   sizeof(peer->answer) - 1 - peer->received, MSG_DONTWAIT);
	if (got > 0)
		peer->received += (size_t)got;
	else if (got == 0 || errno != EAGAIN)
		reactor_stop(peer->reactor);
}

static char *text_of(void *data)
{
	return metrics_text(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct peer peer;
	struct err e = { 0 };
	struct metrics *metrics = metrics_new();
	struct http_server server = { .reactor = reactor_new(&e),
				      .metrics = text_of,
				      .data = metrics };
	int fds[2];

	peer = (struct peer){ .reactor = server.reactor, .input = { bytes, size } };
	peer.step = (size_t)1 << (input_u8(&peer.input) % 13);
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	peer.fd = fds[1];
	client_new(&server, fds[0], &server.clients[0]);
	peer.watch = reactor_watch(server.reactor, peer.fd, EPOLLIN | EPOLLOUT, on_peer, &peer, &e);
	FUZZ_CHECK(peer.watch && reactor_run(server.reactor, &e) == 0);

	FUZZ_CHECK(!server.clients[0]);
	FUZZ_CHECK(peer.received == 0 || strncmp(peer.answer, "HTTP/1.0 ", 9) == 0);
	reactor_unwatch(peer.watch);
	close(peer.fd);
	metrics_free(metrics);
	reactor_free(server.reactor);
	return 0;
}
