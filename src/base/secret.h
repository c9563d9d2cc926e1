/*
 * The only owner of passphrases and keys. The bytes lie in locked memory between guard pages
 * (libsodium), are wiped when freed, and cannot be printed: no log or error function takes a
 * struct secret, and secret_bytes() may be named only where a key is used (check-layers).
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/macros.h"

struct secret;

/* Copies `size` bytes into a new secret, owned by the caller. Never NULL. */
struct secret *secret_new(const void *bytes, size_t size);

/* Wipes and frees; NULL is fine. */
void secret_free(struct secret *secret);

const void *secret_bytes(const struct secret *secret);
size_t secret_size(const struct secret *secret);

/* Whether both hold the same bytes. */
bool secret_equal(const struct secret *a, const struct secret *b);

/* Overwrites memory in a way that the compiler keeps. NULL with size 0 is fine. */
void secret_wipe(void *memory, size_t size);

/*
 * To be called first thing in every process, and again after fork (locks are not inherited):
 * no core dump, no ptrace by the same user, and every page locked as it is touched, so that no
 * copy of a request can reach swap. Returns 0, or -errno where only the secrets themselves are
 * locked, because this process may not lock more.
 */
int secret_protect_process(void);

static inline void cleanup_secret(struct secret **secret)
{
	secret_free(*secret);
}
#define auto_secret CLEANUP(cleanup_secret)

#endif
