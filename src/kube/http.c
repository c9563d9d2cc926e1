/* One blocking request. */
#include "kube/http.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "kube/http_setup.h"

enum { BODY_LIMIT = 16 << 20, PIECE = 16 << 10 };

struct http {
	const struct http_library *library;
	const struct kube_config *config;
	struct http_transfer transfer;
	pid_t owner; /* a connection is never shared with a process that was forked later */
};

struct body {
	char *bytes;
	size_t size, room;
	bool too_large;
};

static size_t on_bytes(char *bytes, size_t one, size_t size, void *data)
{
	struct body *body = data;

	(void)one;
	if (size > BODY_LIMIT - body->size) {
		body->too_large = true;
		return 0;
	}
	if (size >= body->room - body->size) {
		body->room = (body->size + size) * 2 + PIECE;
		body->bytes = xrealloc(body->bytes, body->room);
	}
	memcpy(body->bytes + body->size, bytes, size);
	body->size += size;
	body->bytes[body->size] = '\0';
	return size;
}

struct http *http_open(const struct kube_config *config, struct err *e)
{
	const struct http_library *library = http_library(e);
	CURL *easy = library ? library->curl_easy_init() : NULL;

	if (!easy) {
		if (library)
			err_set(e, ERR_INTERNAL, "libcurl gives no handle");
		return NULL;
	}
	struct http *http = xcalloc(1, sizeof(*http));
	*http = (struct http){ .library = library,
			       .config = config,
			       .transfer = { .easy = easy },
			       .owner = getpid() };
	return http;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	/* Of a parent's connection only our memory is ours: no farewell on its socket. */
	if (http->owner == getpid())
		http->library->curl_easy_cleanup(http->transfer.easy);
	free(http);
}

int http_do(struct http *http, const struct http_request *request, struct http_reply *ret_reply,
	    bool *ret_may_have_run, struct err *e)
{
	const struct http_library *l = http->library;
	struct body body = { 0 };

	*ret_may_have_run = false;
	if (http->owner != getpid()) {
		/* The parent's handle is left as it is: its connection is not ours to end. */
		http->transfer.easy = l->curl_easy_init();
		http->owner = getpid();
		if (!http->transfer.easy)
			return err_set(e, ERR_INTERNAL, "libcurl gives no handle");
	}
	if (http_transfer_setup(&http->transfer, l, http->config, request, e) < 0)
		return -1;
	on_bytes((char *)"", 1, 0, &body);
	l->curl_easy_setopt(http->transfer.easy, CURLOPT_WRITEFUNCTION, on_bytes);
	l->curl_easy_setopt(http->transfer.easy, CURLOPT_WRITEDATA, &body);
	CURLcode code = l->curl_easy_perform(http->transfer.easy);
	http_transfer_done(&http->transfer, l);
	if (code == CURLE_OK) {
		http_transfer_head(&http->transfer, l, ret_reply);
		ret_reply->body = body.bytes;
		ret_reply->size = body.size;
		return 0;
	}
	free(body.bytes);
	*ret_may_have_run = http_transfer_may_have_run(code);
	if (body.too_large)
		return err_set(e, ERR_RESOURCE_EXHAUSTED,
			       "an answer of the Kubernetes API has more than %d MiB",
			       BODY_LIMIT >> 20);
	return http_transfer_error(&http->transfer, l, http->config, code, e);
}
