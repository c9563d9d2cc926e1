/* The log of one rclone. */
#include "mounter/child_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"

enum { LINE_MAX_BYTES = 8192 };

struct child_log {
	int fd;
	char *id;
	struct reactor_watch *watch;
	char line[LINE_MAX_BYTES]; /* what has come of a line so far */
	size_t used;
	char error[256];
};

static void take_text(struct child_log *log, const char *level, const char *text)
{
	bool wrong = strcmp(level, "notice") != 0;
	char shown[256];
	size_t length = strlen(text);

	/* The cause stands at the end: "a: b: c". */
	snprintf(shown, sizeof(shown), "%s",
		 length < sizeof(shown) ? text : text + length - sizeof(shown) + 1);
	for (char *c = shown; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	if (!text_is_clean(shown))
		snprintf(shown, sizeof(shown), "a line that is not clean text");
	if (wrong)
		memcpy(log->error, shown, sizeof(log->error));
	LOG_(log_write, wrong ? LOG_WARN : LOG_INFO, "rclone says", KV("volume", log->id),
	     KV("level", level), KV("text", (const char *)shown));
}

static void take_line(struct child_log *log)
{
	struct err ignored;

	log->line[log->used] = '\0';
	log->used = 0;
	auto_json json_t *root = json_parse_object(log->line, "line", &ignored);
	const char *level = json_string_value(json_object_get(root, "level"));
	const char *text = json_string_value(json_object_get(root, "msg"));
	if (!root) /* a panic, or what it says before it knows how to speak JSON */
		take_text(log, "raw", log->line);
	else if (level && text && strcmp(level, "info") != 0 && strcmp(level, "debug") != 0)
		take_text(log, level, text);
}

/* false: there is nothing more to read now. */
static bool read_some(struct child_log *log)
{
	char bytes[4096];
	ssize_t got = read(log->fd, bytes, sizeof(bytes));

	for (ssize_t i = 0; i < got; i++) {
		if (bytes[i] == '\n')
			take_line(log);
		else if (log->used < LINE_MAX_BYTES - 1)
			log->line[log->used++] = bytes[i];
	}
	if (got == 0) /* whoever still has the other end may go on, but nobody speaks */
		reactor_watch_events(log->watch, 0);
	return got > 0;
}

static void on_readable(void *data, uint32_t events)
{
	(void)events;
	read_some(data);
}

struct child_log *child_log_new(struct reactor *reactor, int fd_take, const char *id, struct err *e)
{
	struct child_log *log = xcalloc(1, sizeof(*log));

	log->fd = fd_take;
	log->id = xstrdup(id);
	fcntl(fd_take, F_SETFL, O_NONBLOCK);
	log->watch = reactor_watch(reactor, fd_take, EPOLLIN, on_readable, log, e);
	if (!log->watch) {
		child_log_free(log);
		return NULL;
	}
	return log;
}

const char *child_log_error(const struct child_log *log)
{
	return log->error;
}

void child_log_finish(struct child_log *log)
{
	while (read_some(log))
		continue;
	if (log->used)
		take_line(log);
}

void child_log_free(struct child_log *log)
{
	if (!log)
		return;
	reactor_unwatch(log->watch);
	cleanup_close(&log->fd);
	free(log->id);
	free(log);
}
