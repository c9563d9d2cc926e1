/* The pipe between a worker and the loop. */
#include "rpc/worker_pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "rpc/frame.h"

/* What a pipe holds by default: a writer that has ended has left no more than this. */
#define SMALL_NOTE ((size_t)64 << 10)

enum note { NOTE_SUBJECT = 1, NOTE_REPLY = 2, NOTE_ERROR = 3, NOTE_STEPS = 4 };

static bool write_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size) {
		ssize_t count = write(fd, at, size);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		at += count;
		size -= (size_t)count;
	}
	return true;
}

static void write_note(int fd, enum note kind, const void *bytes, size_t size)
{
	const uint32_t head[2] = { kind, (uint32_t)size };

	if (write_all(fd, head, sizeof(head)))
		write_all(fd, bytes, size);
}

void worker_pipe_subject(int fd, const char *subject)
{
	write_note(fd, NOTE_SUBJECT, subject, strlen(subject));
}

void worker_pipe_steps(int fd)
{
	struct step_times times;

	step_times_get(&times);
	write_note(fd, NOTE_STEPS, &times, sizeof(times));
}

void worker_pipe_reply(int fd, const struct call_reply *reply)
{
	write_note(fd, NOTE_REPLY, reply->buffer + FRAME_PREFIX, reply->size);
}

void worker_pipe_text(int fd, const char *text)
{
	write_note(fd, NOTE_REPLY, text, strlen(text));
}

void worker_pipe_error(int fd, const struct err *e)
{
	write_note(fd, NOTE_ERROR, e, sizeof(*e));
}

static bool head_makes_sense(const struct worker_pipe *pipe)
{
	switch (pipe->head.kind) {
	case NOTE_SUBJECT:
		return pipe->head.size < sizeof(pipe->subject);
	case NOTE_STEPS:
		return pipe->head.size == sizeof(pipe->steps);
	case NOTE_REPLY:
		return pipe->head.size <= pipe->reply_limit;
	case NOTE_ERROR:
		return pipe->head.size == sizeof(pipe->e);
	default:
		return false;
	}
}

static enum worker_pipe_state take_note(struct worker_pipe *pipe)
{
	const uint8_t *bytes = pipe->payload + FRAME_PREFIX;
	size_t size = pipe->head.size;

	switch (pipe->head.kind) {
	case NOTE_SUBJECT:
		memcpy(pipe->subject, bytes, size);
		pipe->subject[size] = '\0';
		free(pipe->payload);
		break;
	case NOTE_STEPS:
		memcpy(&pipe->steps, bytes, sizeof(pipe->steps));
		pipe->has_steps = true;
		free(pipe->payload);
		break;
	case NOTE_REPLY:
		pipe->e.code = ERR_OK;
		frame_put_prefix(pipe->payload, size);
		pipe->reply = (struct call_reply){ pipe->payload, size };
		break;
	default:
		memcpy(&pipe->e, bytes, sizeof(pipe->e));
		pipe->e.msg[sizeof(pipe->e.msg) - 1] = '\0';
		if (pipe->e.code <= ERR_OK || pipe->e.code > ERR_UNAUTHENTICATED)
			pipe->e.code = ERR_UNKNOWN;
		free(pipe->payload);
	}
	pipe->payload = NULL;
	pipe->payload_used = pipe->head_used = 0;
	return pipe->head.kind == NOTE_SUBJECT || pipe->head.kind == NOTE_STEPS ? WORKER_PIPE_OPEN
										: WORKER_PIPE_DONE;
}

/* The count of read(2), 0 at the end, -1 when there is nothing now. */
static ssize_t read_some(int fd, void *bytes, size_t size)
{
	ssize_t count;

	do
		count = read(fd, bytes, size);
	while (count < 0 && errno == EINTR);
	if (count < 0 && errno != EAGAIN)
		return 0;
	return count;
}

enum worker_pipe_state worker_pipe_read(struct worker_pipe *pipe, int fd)
{
	enum worker_pipe_state state = WORKER_PIPE_OPEN;

	while (state == WORKER_PIPE_OPEN) {
		ssize_t count;

		if (pipe->head_used < sizeof(pipe->head)) {
			count = read_some(fd, (char *)&pipe->head + pipe->head_used,
					  sizeof(pipe->head) - pipe->head_used);
			if (count <= 0)
				return count < 0 ? WORKER_PIPE_OPEN : WORKER_PIPE_CLOSED;
			pipe->head_used += (size_t)count;
			if (pipe->head_used < sizeof(pipe->head))
				continue;
			if (!head_makes_sense(pipe))
				return WORKER_PIPE_BROKEN;
			pipe->payload = xcalloc(1, FRAME_PREFIX + pipe->head.size);
		} else if (pipe->head.size > SMALL_NOTE && !pipe->may_be_large) {
			return WORKER_PIPE_LARGE;
		} else {
			count = read_some(fd, pipe->payload + FRAME_PREFIX + pipe->payload_used,
					  pipe->head.size - pipe->payload_used);
			if (count <= 0)
				return count < 0 ? WORKER_PIPE_OPEN : WORKER_PIPE_CLOSED;
			pipe->payload_used += (size_t)count;
		}
		if (pipe->payload_used == pipe->head.size)
			state = take_note(pipe);
	}
	return state;
}

void worker_pipe_free(struct worker_pipe *pipe)
{
	free(pipe->payload);
	free(pipe->reply.buffer);
	*pipe = (struct worker_pipe){ .payload = NULL };
}
