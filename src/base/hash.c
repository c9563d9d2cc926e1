/* Names from hashes and random UUIDs. */
#include "base/hash.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hash_hex(const char *text, char ret_hex[HASH_HEX_SIZE])
{
	unsigned char digest[16];

	crypto_generichash(digest, sizeof(digest), (const unsigned char *)text, strlen(text), NULL,
			   0);
	sodium_bin2hex(ret_hex, HASH_HEX_SIZE, digest, sizeof(digest));
}

void hash_sha256(const void *bytes, size_t size, unsigned char ret_digest[HASH_SHA256_BYTES])
{
	crypto_hash_sha256(ret_digest, bytes, size);
}

void uuid_random(char ret_uuid[37])
{
	unsigned char b[16];

	if (sodium_init() < 0)
		abort();
	randombytes_buf(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(ret_uuid, 37,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}
