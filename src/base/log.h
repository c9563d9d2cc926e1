/*
 * One line per event on standard error, as text or JSON: a constant message and named fields.
 *
 *	log_info("volume staged", KV("volume", id), KV("ms", elapsed_ms));
 *
 * A field is a string or a number. There is deliberately no way to print a protobuf message or
 * a secret: KV does not compile for them.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_field {
	const char *key;
	const char *text; /* NULL: the field is a number */
	int64_t number;
};

static inline struct log_field log_field_text(const char *key, const char *text)
{
	return (struct log_field){ key, text ? text : "", 0 };
}

static inline struct log_field log_field_number(const char *key, int64_t number)
{
	return (struct log_field){ key, NULL, number };
}

#define KV(key, value)                                                                             \
	_Generic((value),                                                                          \
		char *: log_field_text,                                                            \
		const char *: log_field_text,                                                      \
		int: log_field_number,                                                             \
		unsigned: log_field_number,                                                        \
		long: log_field_number,                                                            \
		unsigned long: log_field_number,                                                   \
		long long: log_field_number,                                                       \
		unsigned long long: log_field_number)(key, value)

#define LOG_(write, level, message, ...)                                                           \
	do {                                                                                       \
		const struct log_field fields_[] = { { 0 }, ##__VA_ARGS__ };                       \
		write(level, message, fields_ + 1, sizeof(fields_) / sizeof(fields_[0]) - 1);      \
	} while (0)

/* error: someone must act. warn: degraded, we go on. info: state changed. debug: how. */
#define log_error(message, ...) LOG_(log_write, LOG_ERROR, message, ##__VA_ARGS__)
#define log_warn(message, ...) LOG_(log_write, LOG_WARN, message, ##__VA_ARGS__)
#define log_info(message, ...) LOG_(log_write, LOG_INFO, message, ##__VA_ARGS__)
#define log_debug(message, ...) LOG_(log_write, LOG_DEBUG, message, ##__VA_ARGS__)

/* What somebody waits for, whatever the level: that the program listens. Shown as "info". */
#define log_always(message, ...) LOG_(log_write_always, LOG_INFO, message, ##__VA_ARGS__)

/* Lines above `level` are dropped. Default: text, info. */
void log_setup(enum log_format format, enum log_level level);

/* Writes one line with one write(2), so that lines of several processes do not mix. */
void log_write(enum log_level level, const char *message, const struct log_field *fields,
	       size_t count);
void log_write_always(enum log_level level, const char *message, const struct log_field *fields,
		      size_t count);

#endif
