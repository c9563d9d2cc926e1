/* libcurl's multi interface in the event loop: its sockets and its timer are the reactor's. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/mem.h"
#include "kube/http_setup.h"

enum { BODY_LIMIT = 64 << 10, WATCHES = 8 };

/* One of libcurl's sockets: connecting may try IPv4 and IPv6 at once. */
struct socket_watch {
	struct http_stream *stream;
	curl_socket_t fd;
	struct reactor_watch *watch; /* NULL: the place is free */
};

struct http_stream {
	const struct http_library *library;
	const struct kube_config *config;
	struct reactor *reactor;
	struct http_stream_events events;
	struct http_transfer transfer;
	CURLM *multi;
	struct socket_watch sockets[WATCHES];
	struct reactor_timer *timer;
	bool is_running;
	bool is_acting, is_closed; /* libcurl runs: what it works on is freed when it has ended */
	char *body;		   /* of a reply that is not 200 */
	size_t size;
};

static size_t on_bytes(char *bytes, size_t one, size_t size, void *data)
{
	struct http_stream *s = data;
	struct http_reply head = { 0 };

	(void)one;
	if (s->is_closed)
		return 0;
	http_transfer_head(&s->transfer, s->library, &head);
	if (head.status == 200)
		return s->events.part(s->events.data, bytes, size) ? size : 0;
	size_t room = BODY_LIMIT - s->size, kept = size < room ? size : room;
	s->body = xrealloc(s->body, s->size + kept + 1);
	memcpy(s->body + s->size, bytes, kept);
	s->size += kept;
	s->body[s->size] = '\0';
	return size;
}

/* Tells the end when there is one. The stream may be used for the next request then. */
static void check_end(struct http_stream *s)
{
	const struct http_library *l = s->library;
	struct http_reply reply = { .retry_after_ms = -1 };
	struct err e = { 0 };
	int left;

	for (CURLMsg *message; s->is_running && !s->is_closed &&
			       (message = l->curl_multi_info_read(s->multi, &left));) {
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;

		http_transfer_head(&s->transfer, l, &reply);
		l->curl_multi_remove_handle(s->multi, s->transfer.easy);
		http_transfer_done(&s->transfer, l);
		s->is_running = false;
		reply.body = TAKE(s->body, NULL);
		reply.size = TAKE(s->size, 0);
		if (code != CURLE_OK)
			http_transfer_error(&s->transfer, l, s->config, code, &e);
		s->events.end(s->events.data, &reply, code == CURLE_OK ? NULL : &e);
		free(reply.body);
	}
}

static void act(struct http_stream *s, curl_socket_t fd, int what)
{
	int running;

	s->is_acting = true;
	s->library->curl_multi_socket_action(s->multi, fd, what, &running);
	check_end(s);
	s->is_acting = false;
	if (s->is_closed)
		http_stream_close(s);
}

static void on_socket(void *data, uint32_t events)
{
	struct socket_watch *at = data;
	int what = 0;

	if (events & EPOLLIN)
		what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		what |= CURL_CSELECT_ERR;
	act(at->stream, at->fd, what);
}

static void on_timer(void *data)
{
	struct http_stream *s = data;

	s->timer = NULL;
	act(s, CURL_SOCKET_TIMEOUT, 0);
}

static int timer_wanted(CURLM *multi, long ms, void *data)
{
	struct http_stream *s = data;

	(void)multi;
	reactor_cancel(TAKE(s->timer, NULL));
	if (ms >= 0)
		s->timer = reactor_after(s->reactor, ms, on_timer, s);
	return 0;
}

static struct socket_watch *place_of(struct http_stream *s, curl_socket_t fd)
{
	struct socket_watch *free_place = NULL;

	for (size_t i = 0; i < WATCHES; i++) {
		if (s->sockets[i].watch && s->sockets[i].fd == fd)
			return &s->sockets[i];
		if (!s->sockets[i].watch)
			free_place = &s->sockets[i];
	}
	return free_place;
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *data, void *own)
{
	struct http_stream *s = data;
	struct socket_watch *at = place_of(s, fd);
	uint32_t events = 0;
	struct err ignored = { 0 }; /* the request then runs into its time limit */

	(void)easy;
	(void)own;
	if (!at)
		return -1;
	if (what == CURL_POLL_REMOVE) {
		reactor_unwatch(TAKE(at->watch, NULL));
		return 0;
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= EPOLLIN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= EPOLLOUT;
	if (at->watch) {
		reactor_watch_events(at->watch, events);
		return 0;
	}
	at->stream = s;
	at->fd = fd;
	at->watch = reactor_watch(s->reactor, fd, events, on_socket, at, &ignored);
	return at->watch ? 0 : -1;
}

struct http_stream *http_stream_open(struct reactor *reactor, const struct kube_config *config,
				     const struct http_stream_events *events, struct err *e)
{
	const struct http_library *l = http_library(e);

	if (!l)
		return NULL;
	struct http_stream *s = xcalloc(1, sizeof(*s));
	s->library = l;
	s->config = config;
	s->reactor = reactor;
	s->events = *events;
	s->multi = l->curl_multi_init();
	s->transfer.easy = l->curl_easy_init();
	if (!s->multi || !s->transfer.easy) {
		err_set(e, ERR_INTERNAL, "libcurl gives no handle");
		http_stream_close(s);
		return NULL;
	}
	l->curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	l->curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
	l->curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	l->curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
	return s;
}

int http_stream_begin(struct http_stream *s, const struct http_request *request, struct err *e)
{
	const struct http_library *l = s->library;

	if (http_transfer_setup(&s->transfer, l, s->config, request, e) < 0)
		return -1;
	l->curl_easy_setopt(s->transfer.easy, CURLOPT_WRITEFUNCTION, on_bytes);
	l->curl_easy_setopt(s->transfer.easy, CURLOPT_WRITEDATA, s);
	if (l->curl_multi_add_handle(s->multi, s->transfer.easy) != CURLM_OK) {
		http_transfer_done(&s->transfer, l);
		return err_set(e, ERR_INTERNAL, "libcurl does not take a request");
	}
	s->is_running = true;
	return 0;
}

void http_stream_close(struct http_stream *s)
{
	if (!s)
		return;
	s->is_closed = true;
	if (s->is_acting)
		return;
	if (s->is_running) {
		s->library->curl_multi_remove_handle(s->multi, s->transfer.easy);
		http_transfer_done(&s->transfer, s->library);
	}
	if (s->transfer.easy)
		s->library->curl_easy_cleanup(s->transfer.easy);
	if (s->multi)
		s->library->curl_multi_cleanup(s->multi);
	reactor_cancel(s->timer);
	for (size_t i = 0; i < WATCHES; i++)
		reactor_unwatch(s->sockets[i].watch);
	free(s->body);
	free(s);
}
