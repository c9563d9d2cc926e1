/* rpc/call.c, rpc/call_secrets.c, rpc/memory.c: a call without a server. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gen/csi.pb-c.h"
#include "rpc/call_run.h"
#include "rpc/frame.h"
#include "rpc/memory.h"

static int answer(struct rpc_call *call, struct err *e)
{
	Csi__V1__NodeGetInfoResponse reply = CSI__V1__NODE_GET_INFO_RESPONSE__INIT;

	reply.node_id = call->service;
	return rpc_call_reply(call, &reply.base, e);
}

static char node_name[] = "node-1";
static const struct rpc_method stage = { "/csi.v1.Node/NodeStageVolume",
					 &csi__v1__node_stage_volume_request__descriptor, answer,
					 node_name, true };

static struct rpc_call *open_call(const char *text, size_t size, struct err *e)
{
	uint8_t *bytes = xcalloc(1, size);

	memcpy(bytes, text, size);
	struct rpc_call *call = call_open(&stage, 77, 1000, bytes, size, e);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], 0); /* wiped, whatever came of it */
	free(bytes);
	return call;
}
#define OPEN(text, e) open_call(text, sizeof(text) - 1, e)

static void secrets_are_moved(void **state)
{
	struct err e = { 0 };
	struct rpc_call *call = OPEN("\x0a\x02v1"
				     "\x2a\x06\x0a\x01"
				     "a\x12\x01x"
				     "\x2a\x07\x0a\x01"
				     "a\x12\x02yz"
				     "\x2a\x03\x0a\x01"
				     "b"
				     "\x2a\x00",
				     &e);

	(void)state;
	assert_non_null(call);
	const Csi__V1__NodeStageVolumeRequest *request = (const void *)call->request;
	assert_string_equal(request->volume_id, "v1");
	assert_int_equal(request->n_secrets, 0);
	assert_null(request->secrets);
	assert_int_equal(rpc_call_secret_count(call), 4);
	/* The last of a name counts, and is no longer than it should be. */
	assert_int_equal(secret_size(rpc_call_secret(call, "a")), 2);
	assert_memory_equal(secret_bytes(rpc_call_secret(call, "a")), "yz", 2);
	assert_int_equal(secret_size(rpc_call_secret(call, "b")), 0);
	assert_int_equal(secret_size(rpc_call_secret(call, "")), 0);
	assert_null(rpc_call_secret(call, "c"));
	assert_int_equal(call->deadline_ms, 77);
	call_close(call);
}

static void reply_has_its_prefix(void **state)
{
	struct call_reply reply = { 0 };
	struct err e = { 0 };
	struct rpc_call *call = OPEN("", &e);

	(void)state;
	assert_int_equal(rpc_call_secret_count(call), 0);
	assert_int_equal(call_handle(call, &reply, &e), 0);
	assert_int_equal(reply.size, 8);
	assert_memory_equal(reply.buffer, "\0\0\0\0\x08\x0a\x06node-1", 13);
	free(reply.buffer);
	call_close(call);
}

static void bad_requests_name_the_method(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_null(OPEN("\x0a\x05x", &e));
	assert_string_equal(e.msg, "request of NodeStageVolume is not a valid message");
	assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
	assert_null(OPEN("\x2a\x09\x0a\x01k\x12\x04pw\0x", &e));
	assert_string_equal(e.msg, "field 'secrets.value' holds a NUL byte");
}

static void subjects(void **state)
{
	char subject[CALL_SUBJECT_SIZE], longer[3 + 200] = "\x0a\xc8\x01";
	struct err e = { 0 };
	struct rpc_call *call = OPEN("\x0a\x05"
				     "a\nb\x7f"
				     "c",
				     &e);

	(void)state;
	call_subject(call, subject);
	assert_string_equal(subject, "a?b?c");
	call_close(call);

	memset(longer + 3, 'x', sizeof(longer) - 3);
	call = open_call(longer, sizeof(longer), &e);
	assert_non_null(call);
	call_subject(call, subject);
	assert_int_equal(strlen(subject), CALL_SUBJECT_SIZE - 1);
	call_close(call);
}

static void memory_is_bounded(void **state)
{
	struct memory memory;

	(void)state;
	memory_init(&memory, 1000);
	ProtobufCAllocator *allocator = &memory.allocator;
	void *one = allocator->alloc(allocator->allocator_data, 400);
	assert_non_null(one);
	assert_null(allocator->alloc(allocator->allocator_data, 600));
	assert_true(memory.exhausted);
	assert_null(allocator->alloc(allocator->allocator_data, SIZE_MAX));
	void *two = allocator->alloc(allocator->allocator_data, 400);
	assert_non_null(two);
	allocator->free(allocator->allocator_data, one);
	allocator->free(allocator->allocator_data, two);
	allocator->free(allocator->allocator_data, NULL);
	assert_int_equal(memory.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_are_moved),
		cmocka_unit_test(reply_has_its_prefix),
		cmocka_unit_test(bad_requests_name_the_method),
		cmocka_unit_test(subjects),
		cmocka_unit_test(memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
