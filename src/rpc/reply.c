/* Answers as HTTP/2 frames. */
#include "rpc/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rpc/status.h"

#define REPLIES_PER_CONNECTION 2 /* of the largest size may wait for the client */

static nghttp2_nv header(const char *name, const char *value)
{
	/* nghttp2 copies both; its struct predates const. */
	return (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
	};
}

/* From here on the client is expected to take the answer. */
static void mark_answered(struct stream *stream)
{
	struct connection *connection = stream->connection;

	stream->is_answered = true;
	stream->is_ready = false;
	stream->reply_since_ms = clock_ms();
	reactor_cancel(TAKE(stream->deadline, NULL));
	frame_free(&stream->body, &connection->server->budget);
}

/* Hands over the next part of the message, and the trailers behind its last one. */
static ssize_t read_reply(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t size,
			  uint32_t *flags, nghttp2_data_source *source, void *data)
{
	struct stream *stream = source->ptr;
	size_t total = FRAME_PREFIX + stream->reply.size;
	size_t left = total - stream->reply_sent;
	const nghttp2_nv trailers[] = { header("grpc-status", "0") };

	(void)data;
	if (size > left)
		size = left;
	memcpy(buffer, stream->reply.buffer + stream->reply_sent, size);
	stream->reply_sent += size;
	stream->reply_since_ms = clock_ms();
	if (stream->reply_sent == total) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(session, id, trailers, ARRAY_LEN(trailers)) != 0)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return (ssize_t)size;
}

void stream_reply(struct stream *stream, struct call_reply reply)
{
	struct connection *connection = stream->connection;
	size_t limit = REPLIES_PER_CONNECTION * connection->server->limits.reply_bytes;
	const nghttp2_nv headers[] = {
		header(":status", "200"),
		header("content-type", "application/grpc"),
	};
	const nghttp2_data_provider provider = {
		.source.ptr = stream,
		.read_callback = read_reply,
	};

	if (reply.size > limit - connection->reply_bytes) {
		struct err e = { 0 };

		free(reply.buffer);
		err_set(&e, ERR_RESOURCE_EXHAUSTED,
			"the client does not read the replies it has asked for");
		stream_fail(stream, &e);
		return;
	}
	stream->reply = reply;
	connection->reply_bytes += reply.size;
	mark_answered(stream);
	nghttp2_submit_response(connection->session, stream->id, headers, ARRAY_LEN(headers),
				&provider);
}

void stream_fail(struct stream *stream, const struct err *e)
{
	char message[STATUS_MESSAGE_SIZE], code[16];

	snprintf(code, sizeof(code), "%d", (int)e->code);
	status_encode(e->msg, message);
	const nghttp2_nv headers[] = {
		header(":status", "200"),
		header("content-type", "application/grpc"),
		header("grpc-accept-encoding", "identity"),
		header("grpc-status", code),
		header("grpc-message", message),
	};
	mark_answered(stream);
	nghttp2_submit_response(stream->connection->session, stream->id, headers,
				ARRAY_LEN(headers), NULL);
}

void reply_http(struct stream *stream, const char *status)
{
	const nghttp2_nv headers[] = { header(":status", status) };

	mark_answered(stream);
	nghttp2_submit_response(stream->connection->session, stream->id, headers,
				ARRAY_LEN(headers), NULL);
}

int reply_on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
	struct stream *stream;

	(void)data;
	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	/* Earlier than this the reset would overtake the answer and drop it. */
	stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (stream && !stream->is_received)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
					  NGHTTP2_NO_ERROR);
	return 0;
}
