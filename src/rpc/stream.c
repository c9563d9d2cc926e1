/* Calls as HTTP/2 streams: what nghttp2 tells, and when a call starts. */
#include "rpc/stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/reply.h"
#include "rpc/worker.h"

static struct stream *stream_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

static struct stream *stream_new(struct connection *connection, int32_t id)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));

	*stream = (struct stream){
		.connection = connection,
		.prev = connection->streams_tail,
		.id = id,
		.started_ms = clock_ms(),
		.deadline_ms = INT64_MAX,
	};
	if (stream->prev)
		stream->prev->next = stream;
	else
		connection->streams = stream;
	connection->streams_tail = stream;
	connection->stream_count++;
	return stream;
}

void stream_free(struct stream *stream)
{
	struct connection *connection = stream->connection;

	if (stream->prev)
		stream->prev->next = stream->next;
	else
		connection->streams = stream->next;
	if (stream->next)
		stream->next->prev = stream->prev;
	else
		connection->streams_tail = stream->prev;
	connection->stream_count--;
	if (stream->worker)
		worker_detach(stream->worker, "gone");
	reactor_cancel(stream->deadline);
	frame_free(&stream->body, &connection->server->budget);
	if (stream->reply.buffer)
		connection->reply_bytes -= stream->reply.size;
	free(stream->reply.buffer);
	free(stream);
}

static const struct rpc_method *find_method(const struct rpc_server *server, const char *path)
{
	for (size_t i = 0; i < server->method_count; i++) {
		if (strcmp(server->methods[i].path, path) == 0)
			return &server->methods[i];
	}
	return NULL;
}

/* A call ends without a worker: one line, one answer. */
static void end_call(struct stream *stream, const struct err *e)
{
	const struct call_record record = {
		/* An observer may keep the name of a method: it must be the table's own. */
		.path = stream->method ? stream->method->path : stream->head.path,
		.is_known = stream->method != NULL,
		.is_quiet = true,
		.subject = "",
		.client = "",
		.started_ms = stream->started_ms,
	};

	server_call_finished(stream->connection->server, &record, e);
	if (e->code != ERR_OK)
		stream_fail(stream, e);
}

static void on_deadline(void *data)
{
	struct stream *stream = data;
	struct worker *worker = TAKE(stream->worker, NULL);
	struct err e = { 0 };

	stream->deadline = NULL;
	err_set(&e, ERR_DEADLINE_EXCEEDED,
		worker ? "%s still runs: the time of this call is over, the work goes on"
		       : "the time of %s was over before it began",
		call_short_name(stream->head.path));
	if (worker) {
		worker_detach(worker, "DEADLINE_EXCEEDED");
		stream_fail(stream, &e);
	} else {
		end_call(stream, &e);
	}
	connection_flush(stream->connection);
}

static void begin_call(struct stream *stream)
{
	struct connection *connection = stream->connection;
	struct rpc_server *server = connection->server;
	const char *http = NULL;
	struct err e = { 0 };

	switch (head_judge(&stream->head, server->limits.header_bytes, &http, &e)) {
	case HEAD_OK:
		break;
	case HEAD_RESET:
		stream->is_answered = true;
		nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, stream->id,
					  NGHTTP2_PROTOCOL_ERROR);
		return;
	case HEAD_HTTP:
		reply_http(stream, http);
		return;
	case HEAD_STATUS:
		end_call(stream, &e);
		return;
	}
	stream->method = find_method(server, stream->head.path);
	if (!stream->method) {
		err_set(&e, ERR_UNIMPLEMENTED, "unknown method %s", stream->head.path);
		end_call(stream, &e);
		return;
	}
	if (stream->head.timeout_seen) {
		stream->deadline_ms = stream->started_ms + stream->head.timeout_ms;
		stream->deadline = reactor_after(server->reactor, stream->head.timeout_ms,
						 on_deadline, stream);
	}
}

static void end_request(struct stream *stream)
{
	struct err e = { 0 };

	stream->is_received = true;
	if (stream->is_answered)
		return;
	if (frame_finish(&stream->body, &e) < 0)
		end_call(stream, &e);
	else
		stream->is_ready = true;
}

static void run_in_loop(struct stream *stream, struct err *e)
{
	struct rpc_server *server = stream->connection->server;
	struct call_reply reply = { 0 };
	struct rpc_call *call =
		call_open(stream->method, stream->deadline_ms, server->limits.reply_bytes,
			  stream->body.bytes, stream->body.size, e);

	frame_free(&stream->body, &server->budget);
	if (call && call_handle(call, &reply, e) == 0) {
		*e = (struct err){ 0 };
		stream_reply(stream, reply);
	}
	call_close(call);
	end_call(stream, e);
}

static void start(struct stream *stream)
{
	struct err e = { 0 };

	stream->is_ready = false;
	if (clock_ms() >= stream->deadline_ms) {
		err_set(&e, ERR_DEADLINE_EXCEEDED, "the time of %s was over before it began",
			call_short_name(stream->head.path));
		end_call(stream, &e);
	} else if (!stream->method->in_worker) {
		run_in_loop(stream, &e);
	} else if (worker_start(stream, &e) < 0) {
		end_call(stream, &e);
	}
}

void stream_start_ready(struct connection *connection)
{
	for (struct stream *stream = connection->streams; stream; stream = stream->next) {
		if (stream->is_ready)
			start(stream);
	}
}

bool stream_is_waiting(const struct stream *stream)
{
	return !stream->is_received || stream->is_answered;
}

void stream_check_time(struct stream *stream, int64_t now_ms)
{
	int64_t limit = stream->connection->server->limits.idle_progress_ms;
	struct err e = { 0 };

	if (stream->is_answered) {
		if (now_ms - stream->reply_since_ms >= limit)
			nghttp2_submit_rst_stream(stream->connection->session, NGHTTP2_FLAG_NONE,
						  stream->id, NGHTTP2_CANCEL);
	} else if (!stream->is_received && now_ms - stream->started_ms >= limit) {
		err_set(&e, ERR_DEADLINE_EXCEEDED, "the request did not arrive within %lld ms",
			(long long)limit);
		end_call(stream, &e);
	}
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
	struct connection *connection = data;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	/* Before our SETTINGS are acknowledged nghttp2 does not hold the client to them. */
	if (connection->stream_count >= connection->server->limits.streams)
		return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
						 NGHTTP2_REFUSED_STREAM);
	nghttp2_session_set_stream_user_data(session, frame->hd.stream_id,
					     stream_new(connection, frame->hd.stream_id));
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		     void *data)
{
	struct connection *connection = data;
	struct stream *stream = stream_of(session, frame->hd.stream_id);

	(void)flags;
	if (stream && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		head_take(&stream->head, name, name_size, value, value_size,
			  connection->server->limits.header_bytes);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
	struct connection *connection = data;
	struct stream *stream;

	if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
		connection->is_settled = true;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	stream = stream_of(session, frame->hd.stream_id);
	if (!stream)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		begin_call(stream);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		end_request(stream);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
		   size_t size, void *data)
{
	struct connection *connection = data;
	struct stream *stream = stream_of(session, id);
	struct err e = { 0 };

	(void)flags;
	if (stream && !stream->is_answered &&
	    frame_feed(&stream->body, &connection->server->budget, bytes, size, &e) < 0)
		end_call(stream, &e);
	return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *data)
{
	struct stream *stream = stream_of(session, id);

	(void)code;
	(void)data;
	if (stream)
		stream_free(stream);
	return 0;
}

nghttp2_session_callbacks *stream_callbacks(void)
{
	nghttp2_session_callbacks *callbacks;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		abort();
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, reply_on_frame_sent);
	return callbacks;
}
