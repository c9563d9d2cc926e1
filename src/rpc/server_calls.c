/* What a server says about its calls, and what a worker forgets of its server. */
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "rpc/stream.h"

static enum log_level level_of(const struct call_record *record, const struct err *e)
{
	if (e->code == ERR_OK && record->is_quiet)
		return LOG_DEBUG;
	return LOG_INFO;
}

void server_call_finished(struct rpc_server *server, const struct call_record *record,
			  const struct err *e)
{
	const char *method = call_short_name(record->path);
	int64_t ms = clock_ms() - record->started_ms;
	struct log_field fields[6];
	size_t count = 0;

	fields[count++] = log_field_text("method", method);
	if (record->subject[0])
		fields[count++] = log_field_text("volume", record->subject);
	fields[count++] = log_field_text("code", err_code_name(e->code));
	fields[count++] = log_field_number("ms", ms);
	if (e->code != ERR_OK)
		fields[count++] = log_field_text("error", e->msg);
	if (record->client[0])
		fields[count++] = log_field_text("client", record->client);
	log_write(level_of(record, e), "rpc", fields, count);
	if (server->observer.finished)
		server->observer.finished(server->observer.data,
					  record->is_known ? method : "unknown", e->code, ms);
}

void server_steps_taken(struct rpc_server *server, const struct step_times *times)
{
	for (int step = 0; server->observer.step && step < STEP_COUNT; step++)
		if (times->ms[step] >= 0 && times->ms[step] <= server->limits.worker_ms)
			server->observer.step(server->observer.data, (enum step)step,
					      times->ms[step]);
}

void server_workers_changed(struct rpc_server *server)
{
	if (server->observer.workers)
		server->observer.workers(server->observer.data, server->worker_count);
}

static void close_between(int first, int last)
{
	if (first <= last)
		close_range((unsigned)first, (unsigned)last, 0);
}

static void close_all_but(const int *keep, size_t keep_count, int pipe_fd)
{
	int from = STDERR_FILENO + 1;
	bool pipe_is_kept = false;

	for (size_t i = 0; i < keep_count || !pipe_is_kept;) {
		int fd = pipe_fd;

		if (i < keep_count && (pipe_is_kept || keep[i] < pipe_fd))
			fd = keep[i++];
		else
			pipe_is_kept = true;
		close_between(from, fd - 1);
		if (fd >= from)
			from = fd + 1;
	}
	close_range((unsigned)from, ~0U, 0);
}

void server_forget_in_worker(struct rpc_server *server, int pipe_fd)
{
	secret_wipe(server->read_buffer, sizeof(server->read_buffer));
	for (struct connection *at = server->connections; at; at = at->next) {
		for (struct stream *stream = at->streams; stream; stream = stream->next)
			secret_wipe(stream->body.bytes, stream->body.used);
	}
	close_all_but(server->keep, server->keep_count, pipe_fd);
}
