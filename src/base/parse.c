/* Words into values. */
#include "base/parse.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

bool parse_uint(const char *text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		unsigned digit = (unsigned)(*text - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (value > max)
		return false;
	*ret_value = value;
	return true;
}

bool parse_mode(const char *text, unsigned *ret_mode)
{
	size_t length = strlen(text);
	unsigned mode = 0;

	if (length < 3 || length > 5 || strspn(text, "01234567") != length)
		return false;
	for (; *text; text++)
		mode = mode * 8 + (unsigned)(*text - '0');
	if (mode > 07777)
		return false;
	*ret_mode = mode;
	return true;
}

bool parse_bool(const char *text, bool *ret_value)
{
	*ret_value = strcmp(text, "true") == 0;
	return *ret_value || strcmp(text, "false") == 0;
}

bool parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char suffixes[] = "KMGTP";
	char digits[24];
	size_t count = strspn(text, "0123456789");
	uint64_t value;

	if (count == 0 || count >= sizeof(digits))
		return false;
	memcpy(digits, text, count);
	digits[count] = '\0';
	if (!parse_uint(digits, UINT64_MAX, &value))
		return false;

	const char *rest = text + count;
	if (*rest) {
		const char *suffix = strchr(suffixes, *rest == 'k' ? 'K' : *rest);

		if (!suffix || (rest[1] && strcmp(rest + 1, "i") != 0))
			return false;
		unsigned shift = 10 * (unsigned)(suffix - suffixes + 1);
		if (value > (UINT64_MAX >> shift))
			return false;
		value <<= shift;
	}
	*ret_bytes = value;
	return true;
}

static bool duration_unit(const char **text, int64_t *ret_ms)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }
	};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		size_t length = strlen(units[i].name);

		if (strncmp(*text, units[i].name, length) == 0) {
			*text += length;
			*ret_ms = units[i].ms;
			return true;
		}
	}
	return false;
}

bool parse_duration(const char *text, int64_t *ret_ms)
{
	int64_t total = 0;

	if (!*text)
		return false;
	while (*text) {
		size_t count = strspn(text, "0123456789");
		int64_t unit, number = 0;

		if (count == 0 || count > 9)
			return false;
		for (size_t i = 0; i < count; i++)
			number = number * 10 + (text[i] - '0');
		text += count;
		if (!duration_unit(&text, &unit))
			return false;
		total += number * unit;
		if (total > INT64_MAX / 4)
			return false;
	}
	*ret_ms = total;
	return true;
}

/* Length of the UTF-8 sequence at s, 0 when it is not valid (overlong, surrogate, too big). */
static size_t utf8_length(const unsigned char *s, uint32_t *ret_code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = s[0] < 0x80    ? 1
			: s[0] >= 0xf0 ? 4
			: s[0] >= 0xe0 ? 3
			: s[0] >= 0xc2 ? 2
				       : 0;
	uint32_t code = length == 1   ? s[0]
			: length == 2 ? s[0] & 0x1f
			: length == 3 ? s[0] & 0x0f
				      : s[0] & 0x07;

	if (length == 0 || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return length;
}

/* Length of the clean character at s, 0 when it is a control character or not UTF-8. */
static size_t clean_length(const unsigned char *s)
{
	uint32_t code;
	size_t length = utf8_length(s, &code);

	return length == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0) ? 0 : length;
}

bool text_is_clean(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t length = clean_length(s);

		if (length == 0)
			return false;
		s += length;
	}
	return true;
}

void text_make_clean(char *text)
{
	unsigned char *s = (unsigned char *)text;

	while (*s) {
		size_t length = clean_length(s);

		if (length == 0)
			*s = *s == '\n' || *s == '\t' ? ' ' : '?';
		s += length ? length : 1;
	}
}

bool path_is_clean(const char *path)
{
	if (path[0] != '/' || strlen(path) >= PATH_MAX || !text_is_clean(path))
		return false;
	for (const char *part = path; *part;) {
		part++; /* the slash */
		size_t length = strcspn(part, "/");

		if (length == 0 && *part)
			return false;
		if ((length == 1 && part[0] == '.') || (length == 2 && memcmp(part, "..", 2) == 0))
			return false;
		if (length > NAME_MAX)
			return false;
		part += length;
	}
	return true;
}

bool path_is_within(const char *path, const char *base)
{
	size_t length = strlen(base);

	while (length > 0 && base[length - 1] == '/')
		length--;
	return strncmp(path, base, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

static size_t edit_distance(const char *a, const char *b)
{
	enum { LONGEST = 64 };
	size_t row[LONGEST + 1], la = strlen(a), lb = strlen(b);

	if (la > LONGEST || lb > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			char x = a[i - 1] | 0x20, y = b[j - 1] | 0x20; /* case does not count */
			size_t best = diagonal + (x != y);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

const char *nearest_word(const char *word, const char *const candidates[], size_t count,
			 bool *ret_likely)
{
	const char *nearest = NULL;
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < count; i++) {
		size_t distance = edit_distance(word, candidates[i]);

		if (distance < best) {
			best = distance;
			nearest = candidates[i];
		}
	}
	*ret_likely = best <= strlen(word) / 2;
	return nearest;
}
