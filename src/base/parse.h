/* Words into values, strictly: the whole text must match, or the answer is false. Pure. */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only, at most `max`. */
bool parse_uint(const char *text, uint64_t max, uint64_t *ret_value);

/* Octal digits only ("0775"), at most 07777. */
bool parse_mode(const char *text, unsigned *ret_mode);

/* "true" or "false". */
bool parse_bool(const char *text, bool *ret_value);

/*
 * Bytes as Kubernetes and rclone write them: digits and an optional suffix; k M G T P (powers
 * of 1000 in Kubernetes, but rclone reads them as powers of 1024, so both K and Ki are 1024
 * here), Ki Mi Gi Ti Pi. Overflow is false.
 */
bool parse_size(const char *text, uint64_t *ret_bytes);

/* rclone and Go durations: one or more number+unit, units ms s m h d; at least one. */
bool parse_duration(const char *text, int64_t *ret_ms);

/* UTF-8 without control characters (below 0x20, 0x7f, C1). The empty text is clean. */
bool text_is_clean(const char *text);

/* Puts ' ' for newlines and tabs, and '?' for every other byte that is not clean. */
void text_make_clean(char *text);

/*
 * An absolute path for a request: starts with '/', clean, no empty, "." or ".." component
 * other than a trailing slash, shorter than PATH_MAX.
 */
bool path_is_clean(const char *path);

/* Whether `path` is `base` or lies below it. Both clean, no trailing slashes. Pure text. */
bool path_is_within(const char *path, const char *base);

/*
 * The candidate nearest to `word` by edit distance; *ret_likely: so near that it may have been
 * meant. Borrowed; NULL when there is no candidate.
 */
const char *nearest_word(const char *word, const char *const candidates[], size_t count,
			 bool *ret_likely);

#endif
