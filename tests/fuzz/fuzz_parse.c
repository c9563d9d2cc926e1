/* base/parse.c and volume/id.c: words into values. */
#include "input.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "volume/id.h"

static void check_numbers(const char *text)
{
	int64_t ms;
	uint64_t value, bytes;
	unsigned mode;
	bool flag;

	if (parse_uint(text, UINT64_MAX, &value)) {
		char *end;

		errno = 0;
		FUZZ_CHECK(strspn(text, "0123456789") == strlen(text));
		FUZZ_CHECK(strtoull(text, &end, 10) == value && errno == 0 && !*end);
	}
	if (parse_mode(text, &mode))
		FUZZ_CHECK(mode <= 07777 && strtoul(text, NULL, 8) == mode);
	if (parse_bool(text, &flag))
		FUZZ_CHECK(strcmp(text, flag ? "true" : "false") == 0);
	if (parse_size(text, &bytes)) {
		uint64_t number = strtoull(text, NULL, 10);

		FUZZ_CHECK(bytes >= number && (number == 0 || bytes % number == 0));
	}
	if (parse_duration(text, &ms))
		FUZZ_CHECK(ms >= 0);
}

static void check_paths(const char *text, const char *other)
{
	if (path_is_clean(text)) {
		FUZZ_CHECK(text[0] == '/' && strlen(text) < PATH_MAX && !strstr(text, "//"));
		FUZZ_CHECK(!strstr(text, "/../") && text_is_clean(text));
		FUZZ_CHECK(path_is_within(text, "/") && path_is_within(text, text));
		size_t length = strlen(other);

		while (length > 1 && other[length - 1] == '/')
			length--;
		if (path_is_clean(other) && path_is_within(text, other))
			FUZZ_CHECK(strncmp(text, other, length) == 0);
	}
}

static void check_ids(const char *text)
{
	char id[VOLUME_ID_MAX + 1], name[VOLUME_NAME_SIZE];
	struct err e = { 0 };

	if (volume_id_check(text, &e) == 0) {
		FUZZ_CHECK(!strchr(text, '/') && text[0] != '.' && strlen(text) <= VOLUME_ID_MAX);
		volume_image_name(text, name);
		volume_lock_name(text, name);
		volume_mapping_name(text, name);
		FUZZ_CHECK(strlen(name) <= 127);
	} else {
		check_error(&e);
	}
	if (volume_id_from_name(text, id, &e) == 0)
		FUZZ_CHECK(volume_id_check(id, &e) == 0);
	else
		check_error(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const words[] = { "local-path", "luks-cipher", "s3-bucket", "" };
	struct input input = { bytes, size };
	auto_free char *text = input_line(&input);
	auto_free char *other = input_line(&input);
	bool likely;

	check_numbers(text);
	check_paths(text, other);
	check_ids(text);
	FUZZ_CHECK(nearest_word(text, words, ARRAY_LEN(words), &likely));
	return 0;
}
