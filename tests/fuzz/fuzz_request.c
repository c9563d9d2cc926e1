/* Every request decoder and handler: one byte chooses the method, the rest is the message. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/call_run.h"

enum { REPLY_LIMIT = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	struct world *world = world_get();
	const struct rpc_method *method = &world->methods[input_u8(&input) % world->count];
	struct call_reply reply = { 0 };
	char subject[CALL_SUBJECT_SIZE];
	struct err e = { 0 };
	size_t left = input.left;
	uint8_t *message = xcalloc(1, left + 1);

	if (left)
		memcpy(message, input.at, left);
	struct rpc_call *call =
		call_open(method, clock_ms() + 10000, REPLY_LIMIT, message, left, &e);
	for (size_t i = 0; i < left; i++)
		FUZZ_CHECK(message[i] == 0); /* a request may hold a secret */
	free(message);
	if (!call) {
		check_error(&e);
		return 0;
	}
	call_subject(call, subject);
	if (call_handle(call, &reply, &e) < 0)
		check_error(&e);
	else
		FUZZ_CHECK(reply.buffer);
	free(reply.buffer);
	call_close(call);
	return 0;
}
