/* UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF. Pure. */
#ifndef RPC_UTF8_H
#define RPC_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at `text`, of which `size` bytes are there; 0 when it is not valid. */
size_t utf8_char(const uint8_t *text, size_t size);

#endif
