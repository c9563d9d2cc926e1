/* The secrets of a request, taken out of its message. */
#ifndef RPC_CALL_SECRETS_H
#define RPC_CALL_SECRETS_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "base/err.h"
#include "base/secret.h"

/* Each takes a few pages of locked memory. */
#define CALL_SECRETS_MAX 128

struct call_secrets {
	size_t count;
	struct call_secret {
		char *name;
		struct secret *value;
	} * all;
};

/*
 * Moves the entries of the field map<string, string> "secrets" into struct secret; the message
 * is left with an empty map and its memory wiped. No such field: no secrets. INVALID_ARGUMENT
 * when there are too many; the message is left alone then.
 */
int call_secrets_take(struct call_secrets *secrets, ProtobufCMessage *message,
		      ProtobufCAllocator *allocator, struct err *e) MUST_CHECK;

/* The last entry of that name (as protobuf wants it), or NULL. Borrowed. */
const struct secret *call_secrets_find(const struct call_secrets *secrets, const char *name);

/* Wipes and frees. */
void call_secrets_free(struct call_secrets *secrets);

#endif
