/*
 * Memory of an unpacked message: bounded, because a small message can unpack into a large one,
 * and wiped when freed, because it may have held a secret.
 */
#ifndef RPC_MEMORY_H
#define RPC_MEMORY_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct memory {
	ProtobufCAllocator allocator; /* for protobuf-c */
	size_t used, limit;
	bool exhausted; /* the limit was hit */
};

/* `memory` must not move afterwards. */
void memory_init(struct memory *memory, size_t limit);

#endif
