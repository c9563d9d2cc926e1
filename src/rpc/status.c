/* gRPC words in HTTP/2 headers. */
#include "rpc/status.h"

#include <string.h>
#include <strings.h>

#include "rpc/utf8.h"

size_t status_encode(const char *text, char ret_encoded[STATUS_MESSAGE_SIZE])
{
	static const char digits[] = "0123456789ABCDEF";
	const uint8_t *at = (const uint8_t *)text;
	size_t left = strnlen(text, sizeof(((struct err *)0)->msg));
	size_t used = 0;

	while (left) {
		size_t length = utf8_char(at, left);

		if (!length || (length == 1 && *at >= 0x20 && *at < 0x7f && *at != '%')) {
			ret_encoded[used++] = length ? (char)*at : '?';
			at++;
			left--;
			continue;
		}
		for (size_t i = 0; i < length; i++) {
			ret_encoded[used++] = '%';
			ret_encoded[used++] = digits[at[i] >> 4];
			ret_encoded[used++] = digits[at[i] & 15];
		}
		at += length;
		left -= length;
	}
	ret_encoded[used] = '\0';
	return used;
}

bool status_parse_timeout(const char *text, size_t size, int64_t *ret_ms)
{
	int64_t value = 0;

	if (size < 2 || size > 9)
		return false;
	for (size_t i = 0; i + 1 < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (text[i] - '0');
	}
	switch (text[size - 1]) {
	case 'H':
		*ret_ms = value * 3600 * 1000;
		return true;
	case 'M':
		*ret_ms = value * 60 * 1000;
		return true;
	case 'S':
		*ret_ms = value * 1000;
		return true;
	case 'm':
		*ret_ms = value;
		return true;
	case 'u':
		*ret_ms = (value + 999) / 1000;
		return true;
	case 'n':
		*ret_ms = (value + 999999) / 1000000;
		return true;
	default:
		return false;
	}
}

bool status_is_grpc(const char *type, size_t size)
{
	static const char grpc[] = "application/grpc";
	const size_t length = sizeof(grpc) - 1;

	if (size < length || strncasecmp(type, grpc, length) != 0)
		return false;
	return size == length || type[length] == '+' || type[length] == ';';
}
