/*
 * One HTTP request to the API server: TLS, token and proxy as the configuration says. What the
 * server answers is an answer, whatever its status; only a server that cannot be asked is an error.
 * Redirects are not followed: a token belongs to one server.
 */
#ifndef KUBE_HTTP_H
#define KUBE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reactor.h"
#include "kube/config.h"

struct http_request {
	const char *method;	  /* "GET" */
	const char *path;	  /* "/api/v1/nodes?limit=5", put behind the server's address */
	const char *content_type; /* of the body */
	const char *body;	  /* JSON text; NULL: none */
	int64_t timeout_ms;	  /* of everything, connecting included */
};

struct http_reply {
	long status;
	char *body; /* NUL-terminated, owned by the caller of http_do() */
	size_t size;
	int64_t retry_after_ms; /* what the server asks for; -1: nothing */
};

/* A request at a time in a process of its own; connections are kept. */
struct http;

/* The configuration is borrowed. NULL with `e` filled where libcurl cannot be had. */
struct http *http_open(const struct kube_config *config, struct err *e);
void http_close(struct http *http);

/*
 * Blocks for timeout_ms at most. UNAVAILABLE when the server cannot be reached, its certificate is
 * not good, or the connection breaks; DEADLINE_EXCEEDED when it does not answer in time;
 * RESOURCE_EXHAUSTED when the answer has more than 16 MiB. *ret_may_have_run is false where the
 * request cannot have reached the server.
 */
int http_do(struct http *http, const struct http_request *request, struct http_reply *ret_reply,
	    bool *ret_may_have_run, struct err *e) MUST_CHECK;

/* Requests in the event loop, one at a time, whose answer comes in parts. */
struct http_stream;

struct http_stream_events {
	/* A part of the body of a reply with status 200. False breaks the request off, which is
	 * then told as an error. */
	bool (*part)(void *data, const char *bytes, size_t size);
	/*
	 * The last thing told of a request. A reply with another status has its body here (the
	 * first 64 KiB). `e` is NULL, or why there was no whole reply.
	 */
	void (*end)(void *data, const struct http_reply *reply, const struct err *e);
	void *data;
};

/* As http_open(); events are copied. `end` may begin the next request, `part` may not. */
struct http_stream *http_stream_open(struct reactor *reactor, const struct kube_config *config,
				     const struct http_stream_events *events, struct err *e);

/* Begins; one request at a time. -1: nothing will be told. */
int http_stream_begin(struct http_stream *stream, const struct http_request *request,
		      struct err *e) MUST_CHECK;

/* Breaks off what runs, untold; also from inside an event. NULL is fine. */
void http_stream_close(struct http_stream *stream);

#endif
