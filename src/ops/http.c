/* A very small HTTP server for probes and metrics. */
#include "ops/http.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"

enum { CONNECTIONS_MAX = 16, REQUEST_MAX = 4096, PATIENCE_MS = 5000, PAUSE_MS = 100, BACKLOG = 16 };

struct http_client {
	struct http_server *server;
	struct reactor_watch *watch;
	struct reactor_timer *timer;
	int fd; /* -1: this place is free */
	char request[REQUEST_MAX + 1];
	size_t received;
	char *answer; /* owned; NULL while the request is being read */
	size_t answer_size, sent;
};

struct http_server {
	struct reactor *reactor;
	struct reactor_watch *watch;
	struct reactor_timer *pause; /* no descriptor was free: the listener waits */
	char *(*metrics)(void *data);
	void *data;
	int fd;
	struct http_client *clients[CONNECTIONS_MAX];
};

static void client_close(struct http_client *client)
{
	struct http_server *server = client->server;

	reactor_unwatch(client->watch);
	reactor_cancel(client->timer);
	close(client->fd);
	free(client->answer);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (server->clients[i] == client)
			server->clients[i] = NULL;
	free(client);
}

static void on_patience_end(void *data)
{
	struct http_client *client = data;

	client->timer = NULL; /* it has fired and is gone */
	client_close(client);
}

static void set_answer(struct http_client *client, const char *status, const char *body)
{
	client->answer = xasprintf("HTTP/1.0 %s\r\n"
				   "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
				   "Content-Length: %zu\r\n"
				   "Connection: close\r\n\r\n%s",
				   status, strlen(body), body);
	client->answer_size = strlen(client->answer);
	reactor_watch_events(client->watch, EPOLLOUT);
}

/* The loop answers, so it is alive; there is nothing else that a restart of it could mend. */
static void decide_answer(struct http_client *client)
{
	auto_free char *metrics = NULL;
	char path[64];

	if (sscanf(client->request, "GET %63[^ ?\r\n]", path) != 1) {
		set_answer(client, "405 Method Not Allowed", "only GET is served here\n");
	} else if (strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0) {
		set_answer(client, "200 OK", "ok\n");
	} else if (strcmp(path, "/metrics") == 0) {
		metrics = client->server->metrics(client->server->data);
		set_answer(client, "200 OK", metrics);
	} else {
		set_answer(client, "404 Not Found", "try /healthz, /readyz or /metrics\n");
	}
}

static void read_request(struct http_client *client)
{
	ssize_t got = recv(client->fd, client->request + client->received,
			   REQUEST_MAX - client->received, 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		client_close(client);
		return;
	}
	client->received += (size_t)got;
	client->request[client->received] = '\0';
	if (strstr(client->request, "\r\n\r\n") || strstr(client->request, "\n\n"))
		decide_answer(client);
	else if (client->received == REQUEST_MAX)
		set_answer(client, "431 Request Header Fields Too Large",
			   "the request is too long\n");
}

static void write_answer(struct http_client *client)
{
	ssize_t put = send(client->fd, client->answer + client->sent,
			   client->answer_size - client->sent, MSG_NOSIGNAL);

	if (put < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (put > 0)
		client->sent += (size_t)put;
	if (put <= 0 || client->sent == client->answer_size)
		client_close(client);
}

static void on_client(void *data, uint32_t events)
{
	struct http_client *client = data;

	if (client->answer && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
		write_answer(client);
	else if (!client->answer)
		read_request(client);
}

static void client_new(struct http_server *server, int fd, struct http_client **place)
{
	struct http_client *client = xcalloc(1, sizeof(*client));
	struct err ignored;

	client->server = server;
	client->fd = fd;
	client->watch = reactor_watch(server->reactor, fd, EPOLLIN, on_client, client, &ignored);
	if (!client->watch) {
		close(fd);
		free(client);
		return;
	}
	client->timer = reactor_after(server->reactor, PATIENCE_MS, on_patience_end, client);
	*place = client;
}

static void on_pause_end(void *data)
{
	struct http_server *server = data;

	server->pause = NULL;
	reactor_watch_events(server->watch, EPOLLIN);
}

static void on_listener(void *data, uint32_t events)
{
	struct http_server *server = data;
	int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		/* epoll is level-triggered: without a pause the loop would spin. */
		reactor_watch_events(server->watch, 0);
		server->pause = reactor_after(server->reactor, PAUSE_MS, on_pause_end, server);
	}
	if (fd < 0)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (!server->clients[i]) {
			client_new(server, fd, &server->clients[i]);
			return;
		}
	}
	close(fd); /* a prober tries again; the CSI socket has its own limits */
}

static int bind_first(const struct addrinfo *addresses)
{
	int rc = -EADDRNOTAVAIL;

	for (const struct addrinfo *at = addresses; at; at = at->ai_next) {
		auto_close int fd =
			socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		int on = 1, off = 0;

		if (fd < 0) {
			rc = -errno;
			continue;
		}
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (at->ai_family == AF_INET6) /* one socket for both kinds of address */
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
			return TAKE(fd, -1);
		rc = -errno;
	}
	return rc;
}

/* All addresses: IPv6 first, because its socket serves IPv4 too. */
static int listen_on(const char *host, const char *port)
{
	static const int families[] = { AF_INET6, AF_INET };
	int rc = -EADDRNOTAVAIL;

	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		const struct addrinfo hints = { .ai_family = families[i],
						.ai_socktype = SOCK_STREAM,
						.ai_flags = AI_PASSIVE | AI_NUMERICHOST |
							    AI_NUMERICSERV };
		struct addrinfo *addresses = NULL;

		if (getaddrinfo(*host ? host : NULL, port, &hints, &addresses) != 0)
			continue;
		rc = bind_first(addresses);
		freeaddrinfo(addresses);
		if (rc >= 0 || rc == -EADDRINUSE)
			return rc;
	}
	return rc;
}

struct http_server *http_server_new(struct reactor *reactor, const char *host, const char *port,
				    char *(*metrics)(void *data), void *data, struct err *e)
{
	int fd = listen_on(host, port);

	if (fd < 0) {
		err_set(e, ERR_FAILED_PRECONDITION, "cannot listen on --http-endpoint=%s:%s: %s",
			host, port, strerror(-fd));
		return NULL;
	}
	struct http_server *server = xcalloc(1, sizeof(*server));
	server->reactor = reactor;
	server->metrics = metrics;
	server->data = data;
	server->fd = fd;
	server->watch = reactor_watch(reactor, fd, EPOLLIN, on_listener, server, e);
	if (!server->watch) {
		http_server_free(server);
		return NULL;
	}
	return server;
}

char *http_server_address(const struct http_server *server)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	char host[INET6_ADDRSTRLEN] = "", port[16] = "";

	if (getsockname(server->fd, (struct sockaddr *)&address, &size) < 0 ||
	    getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return xstrdup("");
	return xasprintf(address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (server->clients[i])
			client_close(server->clients[i]);
	reactor_cancel(server->pause);
	reactor_unwatch(server->watch);
	close(server->fd);
	free(server);
}
