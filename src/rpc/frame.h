/*
 * The message of a gRPC request, put together from DATA of any sizes: one byte of flags, four
 * of length, the message. The memory is taken once the length is known, so that no copy of a
 * secret is left behind by growing, and wiped when it is given back.
 */
#ifndef RPC_FRAME_H
#define RPC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FRAME_PREFIX 5

/* Zeroed is empty. */
struct frame {
	uint8_t prefix[FRAME_PREFIX];
	size_t prefix_used;
	uint8_t *bytes;
	size_t size, used;
};

/* What messages may take: one of them, and all together. */
struct frame_budget {
	size_t each;
	size_t left;
};

/*
 * Adds received bytes. UNIMPLEMENTED for a compressed message, as soon as the length is known
 * RESOURCE_EXHAUSTED over the limit of one and UNAVAILABLE over that of all, INTERNAL for bytes
 * behind the message.
 */
int frame_feed(struct frame *frame, struct frame_budget *budget, const uint8_t *bytes, size_t size,
	       struct err *e) MUST_CHECK;

/* Whether all of one message is there: INTERNAL if not. */
int frame_finish(const struct frame *frame, struct err *e) MUST_CHECK;

/* Wipes and frees the message, returns its share to the budget. */
void frame_free(struct frame *frame, struct frame_budget *budget);

/* Writes the prefix of an uncompressed message of `size` bytes. */
void frame_put_prefix(uint8_t prefix[FRAME_PREFIX], size_t size);

#endif
