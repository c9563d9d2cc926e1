/* Passphrases and keys in locked, wiped memory. */
#include "base/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define ALIGNMENT sizeof(size_t)
/* More than a process of ours ever maps. */
#define ROOM ((size_t)1 << 30)

struct secret {
	size_t size;
	unsigned char bytes[];
};

struct secret *secret_new(const void *bytes, size_t size)
{
	struct secret *secret;

	if (sodium_init() < 0)
		abort();
	/* libsodium puts the end at a page's end: only whole units leave the start aligned. */
	secret = sodium_malloc((sizeof(*secret) + size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
	if (!secret)
		abort();
	secret->size = size;
	if (size)
		memcpy(secret->bytes, bytes, size);
	return secret;
}

void secret_free(struct secret *secret)
{
	sodium_free(secret);
}

const void *secret_bytes(const struct secret *secret)
{
	return secret->bytes;
}

size_t secret_size(const struct secret *secret)
{
	return secret->size;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	return a->size == b->size && sodium_memcmp(a->bytes, b->bytes, a->size) == 0;
}

void secret_wipe(void *memory, size_t size)
{
	if (size)
		explicit_bzero(memory, size);
}

/*
 * Without CAP_IPC_LOCK a process may lock only so much, and once everything is locked to come,
 * what goes over it cannot be mapped at all: a library, a stack, the memory of a burst.
 */
static bool is_room_left(void)
{
	void *room = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return room != MAP_FAILED && munmap(room, ROOM) == 0;
}

int secret_protect_process(void)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		return -errno;
	if (!is_room_left()) {
		munlockall();
		return -EAGAIN;
	}
	return 0;
}
