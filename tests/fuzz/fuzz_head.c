/* rpc/head.c: the headers of a request, one "name\0value\n" after the other. */
#include "input.h"

#include <string.h>

#include "rpc/head.h"

enum { LIMIT = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	struct head head = { 0 };
	const char *http = NULL;
	struct err e = { 0 };

	while (input.left) {
		size_t name_size = input_u8(&input), value_size;
		const uint8_t *name = input_bytes(&input, name_size, &name_size);
		const uint8_t *value;

		value_size = input_u8(&input);
		value = input_bytes(&input, value_size, &value_size);
		head_take(&head, name, name_size, value, value_size, LIMIT);
	}
	switch (head_judge(&head, LIMIT, &http, &e)) {
	case HEAD_OK:
		FUZZ_CHECK(head.is_post && head.is_grpc && head.path[0] == '/');
		FUZZ_CHECK(strlen(head.path) < sizeof(head.path));
		FUZZ_CHECK(head.bytes <= LIMIT && head.timeout_ms >= 0);
		break;
	case HEAD_RESET:
		break;
	case HEAD_HTTP:
		FUZZ_CHECK(http && strlen(http) == 3);
		break;
	case HEAD_STATUS:
		check_error(&e);
		break;
	}
	return 0;
}
