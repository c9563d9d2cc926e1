/*
 * The headers of a request. nghttp2's own checks are off, because old clients send the path of
 * the socket as :authority and would be reset; what matters is checked here. Pure.
 */
#ifndef RPC_HEAD_H
#define RPC_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Zeroed is empty. */
struct head {
	char path[128];
	int64_t timeout_ms;
	size_t bytes; /* as MAX_HEADER_LIST_SIZE counts them */
	bool method_seen, path_seen, type_seen, timeout_seen;
	bool is_post, is_grpc, is_compressed;
	bool is_malformed, has_bad_timeout;
};

enum head_verdict {
	HEAD_OK,
	HEAD_RESET, /* not a request at all: PROTOCOL_ERROR */
	HEAD_HTTP,  /* not gRPC: the HTTP status tells */
	HEAD_STATUS /* a gRPC status tells */
};

/* Takes one header; names and values may hold any byte. Over `limit` bytes nothing is kept. */
void head_take(struct head *head, const uint8_t *name, size_t name_size, const uint8_t *value,
	       size_t value_size, size_t limit);

/* Judges the whole. HEAD_HTTP sets *ret_http, HEAD_STATUS fills `e`. */
enum head_verdict head_judge(const struct head *head, size_t limit, const char **ret_http,
			     struct err *e) MUST_CHECK;

#endif
