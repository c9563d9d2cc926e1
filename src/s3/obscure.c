/* fs/config/obscure of rclone: base64url(IV, AES-256-CTR(public key, IV, text)). */
#include "s3/obscure.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

enum { BLOCK = 16, KEY = 32, ROUNDS = 14 };

static const uint8_t public_key[KEY] = {
	0x9c, 0x93, 0x5b, 0x48, 0x73, 0x0a, 0x55, 0x4d, 0x6b, 0xfd, 0x7c,
	0x63, 0xc8, 0x86, 0xa9, 0x2b, 0xd3, 0x90, 0x19, 0x8e, 0xb8, 0x12,
	0x8a, 0xfb, 0xf4, 0xde, 0x16, 0x2b, 0x8b, 0x95, 0xf6, 0x38,
};

static uint8_t rotate(uint8_t x, int by)
{
	return (uint8_t)(x << by | x >> (8 - by));
}

/* Multiplication by x in GF(2^8) with AES's polynomial. */
static uint8_t twice(uint8_t x)
{
	return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1b : 0));
}

/* The S-box is inverse and affine map (FIPS 197, 5.1.1); it is made, not typed. */
static void make_sbox(uint8_t sbox[256])
{
	uint8_t p = 1, q = 1;

	do {
		p = (uint8_t)(p ^ twice(p)); /* times 3 */
		q = (uint8_t)(q ^ q << 1);   /* divided by 3 */
		q = (uint8_t)(q ^ q << 2);
		q = (uint8_t)(q ^ q << 4);
		q = (uint8_t)(q ^ (q & 0x80 ? 0x09 : 0));
		sbox[p] = (uint8_t)(q ^ rotate(q, 1) ^ rotate(q, 2) ^ rotate(q, 3) ^ rotate(q, 4) ^
				    0x63);
	} while (p != 1);
	sbox[0] = 0x63;
}

static void expand_key(const uint8_t sbox[256], uint8_t keys[(ROUNDS + 1) * BLOCK])
{
	uint8_t round = 1;

	memcpy(keys, public_key, KEY);
	for (int at = KEY; at < (ROUNDS + 1) * BLOCK; at += 4) {
		uint8_t word[4];

		memcpy(word, keys + at - 4, 4);
		if (at % KEY == 0) {
			uint8_t first = word[0];

			for (int i = 0; i < 3; i++)
				word[i] = sbox[word[i + 1]];
			word[3] = sbox[first];
			word[0] = (uint8_t)(word[0] ^ round);
			round = twice(round);
		} else if (at % KEY == 16) {
			for (int i = 0; i < 4; i++)
				word[i] = sbox[word[i]];
		}
		for (int i = 0; i < 4; i++)
			keys[at + i] = (uint8_t)(keys[at + i - KEY] ^ word[i]);
	}
}

static void add_key(uint8_t state[BLOCK], const uint8_t *key)
{
	for (int i = 0; i < BLOCK; i++)
		state[i] = (uint8_t)(state[i] ^ key[i]);
}

/* SubBytes and ShiftRows. */
static void substitute(const uint8_t sbox[256], uint8_t state[BLOCK])
{
	uint8_t old[BLOCK];

	memcpy(old, state, BLOCK);
	for (int i = 0; i < BLOCK; i++)
		state[i] = sbox[old[(i + 4 * (i % 4)) % BLOCK]];
}

static void mix_columns(uint8_t state[BLOCK])
{
	for (uint8_t *c = state; c < state + BLOCK; c += 4) {
		uint8_t all = (uint8_t)(c[0] ^ c[1] ^ c[2] ^ c[3]), first = c[0];

		for (int i = 0; i < 4; i++) {
			uint8_t next = i < 3 ? c[i + 1] : first;

			c[i] = (uint8_t)(c[i] ^ all ^ twice((uint8_t)(c[i] ^ next)));
		}
	}
}

static void encrypt(const uint8_t sbox[256], const uint8_t *keys, uint8_t state[BLOCK])
{
	add_key(state, keys);
	for (int round = 1; round <= ROUNDS; round++) {
		substitute(sbox, state);
		if (round < ROUNDS)
			mix_columns(state);
		add_key(state, keys + (ptrdiff_t)round * BLOCK);
	}
}

static void count_up(uint8_t counter[BLOCK])
{
	for (int i = BLOCK - 1; i >= 0 && ++counter[i] == 0; i--)
		continue;
}

static void apply(const uint8_t iv[BLOCK], uint8_t *bytes, size_t size)
{
	uint8_t sbox[256], keys[(ROUNDS + 1) * BLOCK], counter[BLOCK], stream[BLOCK];

	make_sbox(sbox);
	expand_key(sbox, keys);
	memcpy(counter, iv, BLOCK);
	for (size_t at = 0; at < size; at++) {
		if (at % BLOCK == 0) {
			memcpy(stream, counter, BLOCK);
			encrypt(sbox, keys, stream);
			count_up(counter);
		}
		bytes[at] = (uint8_t)(bytes[at] ^ stream[at % BLOCK]);
	}
}

/* Without padding; `text` has room for size * 4 / 3 + 3 bytes. Returns the length. */
static size_t base64url(const uint8_t *bytes, size_t size, char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	size_t length = 0;
	int have = 0;

	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | bytes[i];
		for (have += 8; have >= 6; have -= 6)
			text[length++] = digits[bits >> (have - 6) & 63];
	}
	if (have)
		text[length++] = digits[bits << (6 - have) & 63];
	text[length] = '\0';
	return length;
}

int obscure(const struct secret *password, struct secret **ret_text, struct err *e)
{
	size_t size = BLOCK + secret_size(password), room = size * 4 / 3 + 3;
	uint8_t *bytes = xcalloc(1, size);
	char *text = xcalloc(1, room);
	int rc = 0;

	if (getrandom(bytes, BLOCK, 0) != BLOCK)
		rc = err_sys(e, errno, "cannot get random bytes");
	if (rc == 0) {
		memcpy(bytes + BLOCK, secret_bytes(password), secret_size(password));
		apply(bytes, bytes + BLOCK, secret_size(password));
		size_t length = base64url(bytes, size, text);
		*ret_text = secret_new(text, length);
	}
	secret_wipe(bytes, size);
	secret_wipe(text, room);
	free(bytes);
	free(text);
	return rc;
}
