/* Ciphers that show what they should hide. */
#include "volume/cipher.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/macros.h"

/* The part of "CIPHER-MODE-IV" that begins at *spec; *spec goes on behind its dash. */
static size_t next_part(const char **spec, const char **ret_part)
{
	size_t length = strcspn(*spec, "-");

	*ret_part = *spec;
	*spec += length + ((*spec)[length] == '-');
	return length;
}

static bool is_one_of(const char *part, size_t length, const char *const words[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(words[i]) == length && memcmp(part, words[i], length) == 0)
			return true;
	return false;
}

/* What the mode shows, or NULL. */
static const char *leak_of(const char *cipher)
{
	static const char *const books[] = { "ecb" };
	static const char *const streams[] = { "ctr", "ofb", "cfb" };
	static const char *const chains[] = { "cbc", "pcbc" };
	static const char *const counters[] = { "plain", "plain64", "plain64be", "benbi" };
	const char *mode, *iv, *rest = cipher;

	next_part(&rest, &mode);
	size_t mode_length = next_part(&rest, &mode);
	size_t iv_length = next_part(&rest, &iv);
	if (is_one_of(mode, mode_length, books, ARRAY_LEN(books)))
		return "equal blocks of data are equal blocks of the image";
	if (is_one_of(mode, mode_length, streams, ARRAY_LEN(streams)))
		return "what is written twice to one place can be read from two copies of the "
		       "image";
	if (is_one_of(mode, mode_length, chains, ARRAY_LEN(chains)) &&
	    is_one_of(iv, iv_length, counters, ARRAY_LEN(counters)))
		return "its IV is a number that everybody knows, so that a file made for it can be "
		       "found in the image";
	return NULL;
}

int cipher_check_new(const char *cipher, struct err *e)
{
	const char *leak = leak_of(cipher);

	return leak ? err_set(e, ERR_INVALID_ARGUMENT,
			      "StorageClass parameter 'luks-cipher' = '%s' is not for new volumes: "
			      "%s; use 'aes-xts-plain64', or 'aes-cbc-essiv:sha256' with "
			      "luks-key-size 256",
			      cipher, leak)
		    : 0;
}
