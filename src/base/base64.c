/* Base64 into bytes. */
#include "base/base64.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void *base64_decode(const char *text, size_t *ret_size)
{
	size_t length = strlen(text), size;
	unsigned char *bytes = xcalloc(length + 1, 1);

	if (sodium_base642bin(bytes, length, text, length, " \t\r\n", &size, NULL,
			      sodium_base64_VARIANT_ORIGINAL) < 0) {
		free(bytes);
		return NULL;
	}
	bytes[size] = '\0';
	*ret_size = size;
	return bytes;
}
