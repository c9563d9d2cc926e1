/* The headers of a request. */
#include "rpc/head.h"

#include <string.h>

#include "rpc/status.h"

#define ENTRY_OVERHEAD 32 /* of RFC 7541, section 4.1 */

static bool is(const uint8_t *text, size_t size, const char *word)
{
	return size == strlen(word) && memcmp(text, word, size) == 0;
}

static void take_path(struct head *head, const uint8_t *value, size_t size)
{
	if (head->path_seen || size == 0 || value[0] != '/' || memchr(value, 0, size)) {
		head->is_malformed = true;
		return;
	}
	head->path_seen = true;
	/* A longer path is no method of ours: what is left of it is unknown as well. */
	if (size > sizeof(head->path) - 1)
		size = sizeof(head->path) - 1;
	memcpy(head->path, value, size);
}

void head_take(struct head *head, const uint8_t *name, size_t name_size, const uint8_t *value,
	       size_t value_size, size_t limit)
{
	head->bytes += name_size + value_size + ENTRY_OVERHEAD;
	if (head->bytes > limit)
		return;
	if (is(name, name_size, ":method")) {
		head->is_malformed |= head->method_seen;
		head->method_seen = true;
		head->is_post = is(value, value_size, "POST");
	} else if (is(name, name_size, ":path")) {
		take_path(head, value, value_size);
	} else if (is(name, name_size, "content-type")) {
		/* All that are given must be gRPC. */
		bool is_grpc = status_is_grpc((const char *)value, value_size);

		head->is_grpc = is_grpc && (head->is_grpc || !head->type_seen);
		head->type_seen = true;
	} else if (is(name, name_size, "grpc-timeout")) {
		int64_t ms = 0;

		if (head->timeout_seen ||
		    !status_parse_timeout((const char *)value, value_size, &ms))
			head->has_bad_timeout = true;
		head->timeout_seen = true;
		head->timeout_ms = ms;
	} else if (is(name, name_size, "grpc-encoding")) {
		head->is_compressed |= !is(value, value_size, "identity");
	}
}

enum head_verdict head_judge(const struct head *head, size_t limit, const char **ret_http,
			     struct err *e)
{
	if (head->bytes > limit) {
		err_set(e, ERR_RESOURCE_EXHAUSTED, "the headers have more than %zu bytes", limit);
		return HEAD_STATUS;
	}
	if (head->is_malformed || !head->method_seen || !head->path_seen)
		return HEAD_RESET;
	if (!head->is_post || !head->is_grpc) {
		*ret_http = head->is_post ? "415" : "405";
		return HEAD_HTTP;
	}
	if (head->has_bad_timeout) {
		err_set(e, ERR_INTERNAL, "the header grpc-timeout is malformed");
		return HEAD_STATUS;
	}
	if (head->is_compressed) {
		err_set(e, ERR_UNIMPLEMENTED, "compressed requests are not supported");
		return HEAD_STATUS;
	}
	return HEAD_OK;
}
