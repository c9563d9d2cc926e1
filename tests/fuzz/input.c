/* Reading a fuzzer's input. */
#include "input.h"

#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

uint8_t input_u8(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->at++;
}

unsigned input_u16(struct input *input)
{
	unsigned high = input_u8(input);

	return high << 8 | input_u8(input);
}

const uint8_t *input_bytes(struct input *input, size_t size, size_t *ret_size)
{
	const uint8_t *bytes = input->at;

	if (size > input->left)
		size = input->left;
	input->at += size;
	input->left -= size;
	*ret_size = size;
	return bytes;
}

static char *copy_text(const uint8_t *bytes, size_t size)
{
	char *text = xcalloc(size + 1, 1);

	for (size_t i = 0; i < size; i++)
		text[i] = bytes[i] ? (char)bytes[i] : ' ';
	return text;
}

char *input_line(struct input *input)
{
	const uint8_t *end = input->left ? memchr(input->at, '\n', input->left) : NULL;
	size_t size;
	const uint8_t *bytes =
		input_bytes(input, end ? (size_t)(end - input->at) : input->left, &size);

	input_u8(input);
	return copy_text(bytes, size);
}

char *input_text(struct input *input)
{
	size_t size;
	const uint8_t *bytes = input_bytes(input, input->left, &size);

	return copy_text(bytes, size);
}

void check_error(const struct err *e)
{
	FUZZ_CHECK(e->code > ERR_OK && e->code <= ERR_UNAUTHENTICATED);
	FUZZ_CHECK(e->msg[0]);
	FUZZ_CHECK(text_is_clean(e->msg));
}
