/* What one request and a stream have in common. */
#ifndef KUBE_HTTP_SETUP_H
#define KUBE_HTTP_SETUP_H

#include "kube/http.h"
#include "kube/http_library.h"

struct http_transfer {
	CURL *easy;
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
};

/* Prepares the handle for a request. To be followed by http_transfer_done(). */
int http_transfer_setup(struct http_transfer *transfer, const struct http_library *library,
			const struct kube_config *config, const struct http_request *request,
			struct err *e) MUST_CHECK;

/* Wipes what was secret. The handle stays. */
void http_transfer_done(struct http_transfer *transfer, const struct http_library *library);

/* The error of a transfer that failed: which server, what, and its code. Always -1. */
int http_transfer_error(const struct http_transfer *transfer, const struct http_library *library,
			const struct kube_config *config, CURLcode code, struct err *e);

/* False only where no byte of the request can have reached the server. */
bool http_transfer_may_have_run(CURLcode code);

/* Status and Retry-After of a reply. */
void http_transfer_head(const struct http_transfer *transfer, const struct http_library *library,
			struct http_reply *ret_reply);

#endif
