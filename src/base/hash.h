/* A short name for long input. Not for keys. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>

#define HASH_HEX_SIZE 33

/* Writes 32 hex digits of BLAKE2b-128 over `text` and a NUL. */
void hash_hex(const char *text, char ret_hex[HASH_HEX_SIZE]);

#define HASH_SHA256_BYTES 32

/* SHA-256 of `size` bytes, as on-disk formats use it. */
void hash_sha256(const void *bytes, size_t size, unsigned char ret_digest[HASH_SHA256_BYTES]);

/* Writes a random (version 4) UUID in its 36-character form and a NUL. */
void uuid_random(char ret_uuid[37]);

#endif
