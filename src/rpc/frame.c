/* gRPC message framing. */
#include "rpc/frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"

static int read_prefix(struct frame *frame, struct frame_budget *budget, struct err *e)
{
	const uint8_t *prefix = frame->prefix;
	size_t size = (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 |
		      prefix[4];

	if (prefix[0] == 1)
		return err_set(e, ERR_UNIMPLEMENTED, "compressed requests are not supported");
	if (prefix[0] != 0)
		return err_set(e, ERR_INTERNAL, "the request has unknown flags");
	if (size > budget->each)
		return err_set(e, ERR_RESOURCE_EXHAUSTED,
			       "the request has %zu bytes, more than the limit of %zu", size,
			       budget->each);
	if (size > budget->left)
		return err_set(e, ERR_UNAVAILABLE, "too many large requests at once; try again");
	budget->left -= size;
	frame->size = size;
	frame->bytes = xcalloc(1, size);
	return 0;
}

int frame_feed(struct frame *frame, struct frame_budget *budget, const uint8_t *bytes, size_t size,
	       struct err *e)
{
	while (size && frame->prefix_used < FRAME_PREFIX) {
		frame->prefix[frame->prefix_used++] = *bytes++;
		size--;
		if (frame->prefix_used == FRAME_PREFIX && read_prefix(frame, budget, e) < 0)
			return -1;
	}
	if (!size)
		return 0;
	if (size > frame->size - frame->used)
		return err_set(e, ERR_INTERNAL, "the request goes on behind its message");
	memcpy(frame->bytes + frame->used, bytes, size);
	frame->used += size;
	return 0;
}

int frame_finish(const struct frame *frame, struct err *e)
{
	if (!frame->bytes && frame->prefix_used == 0)
		return err_set(e, ERR_INTERNAL, "the request has no message");
	if (!frame->bytes || frame->used < frame->size)
		return err_set(e, ERR_INTERNAL, "the request ends in the middle of its message");
	return 0;
}

void frame_free(struct frame *frame, struct frame_budget *budget)
{
	if (!frame->bytes)
		return;
	secret_wipe(frame->bytes, frame->size);
	free(frame->bytes);
	budget->left += frame->size;
	*frame = (struct frame){ .prefix_used = 0 };
}

void frame_put_prefix(uint8_t prefix[FRAME_PREFIX], size_t size)
{
	prefix[0] = 0;
	prefix[1] = (uint8_t)(size >> 24);
	prefix[2] = (uint8_t)(size >> 16);
	prefix[3] = (uint8_t)(size >> 8);
	prefix[4] = (uint8_t)size;
}
