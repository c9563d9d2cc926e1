/* Base64 (RFC 4648, padded) into bytes. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/*
 * The bytes of `text`, NUL-terminated, owned by the caller; white space between is skipped.
 * NULL when the text is not base64.
 */
void *base64_decode(const char *text, size_t *ret_size);

#endif
