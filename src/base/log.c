/* Log lines. Control characters of a peer never reach the terminal: they are escaped. */
#include "base/log.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"

static enum log_format current_format = LOG_TEXT;
static enum log_level current_level = LOG_INFO;

/* A field needs so much room at least, or it is left out; a text leaves so much for what closes. */
enum { FIELD_ROOM = 64, CLOSING_ROOM = 16 };

struct line {
	char bytes[4096];
	size_t used;
};

void log_setup(enum log_format format, enum log_level level)
{
	current_format = format;
	current_level = level;
}

/* Keeps the last byte free for the newline; what does not fit is cut. */
static void put(struct line *line, const char *text)
{
	while (*text && line->used < sizeof(line->bytes) - 1)
		line->bytes[line->used++] = *text++;
}

static void put_quoted(struct line *line, const char *text)
{
	put(line, "\"");
	for (; *text && line->used < sizeof(line->bytes) - CLOSING_ROOM; text++) {
		unsigned char c = (unsigned char)*text;
		char escaped[8];

		if (c == '"' || c == '\\')
			snprintf(escaped, sizeof(escaped), "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			snprintf(escaped, sizeof(escaped), "\\u%04x", c);
		else
			snprintf(escaped, sizeof(escaped), "%c", c);
		put(line, escaped);
	}
	/* Not in the middle of a character. */
	if (*text && ((unsigned char)*text & 0xc0) == 0x80) {
		while (((unsigned char)line->bytes[line->used - 1] & 0xc0) == 0x80)
			line->used--;
		line->used -= (unsigned char)line->bytes[line->used - 1] >= 0xc0;
	}
	put(line, "\"");
}

static void put_time(struct line *line)
{
	struct timespec now;
	struct tm utc;
	char stamp[32], text[48];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text, sizeof(text), "%s.%03ldZ", stamp, now.tv_nsec / 1000000);
	put(line, text);
}

static void put_field(struct line *line, const struct log_field *field)
{
	char number[32];

	if (line->used + strlen(field->key) > sizeof(line->bytes) - FIELD_ROOM)
		return;
	put(line, current_format == LOG_JSON ? ",\"" : " ");
	put(line, field->key);
	put(line, current_format == LOG_JSON ? "\":" : "=");
	if (field->text) {
		put_quoted(line, field->text);
		return;
	}
	snprintf(number, sizeof(number), "%lld", (long long)field->number);
	put(line, number);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields,
	       size_t count)
{
	if (level <= current_level)
		log_write_always(level, message, fields, count);
}

void log_write_always(enum log_level level, const char *message, const struct log_field *fields,
		      size_t count)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	struct line line = { .used = 0 };

	if (current_format == LOG_JSON) {
		put(&line, "{\"time\":\"");
		put_time(&line);
		put(&line, "\",\"level\":\"");
		put(&line, names[level]);
		put(&line, "\",\"msg\":");
		put_quoted(&line, message);
	} else {
		put_time(&line);
		put(&line, " ");
		put(&line, names[level]);
		put(&line, " ");
		put(&line, message);
	}
	for (size_t i = 0; i < count; i++)
		put_field(&line, &fields[i]);
	if (current_format == LOG_JSON)
		put(&line, "}");
	line.bytes[line.used++] = '\n';

	/* A log that cannot be written must not stop the work: a line that would block is lost. */
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	if (poll(&out, 1, 0) == 0)
		return;
	ssize_t ignored = write(STDERR_FILENO, line.bytes, line.used);
	(void)ignored;
}
