/*
 * One gRPC call as its handler sees it.
 *
 * The request has been checked before a handler runs: it is a valid message, every string in
 * it is UTF-8 without NUL bytes, and its field "secrets" is empty: the values were moved into
 * struct secret, and the plain copies were wiped. Limits of length are the handler's business.
 */
#ifndef RPC_CALL_H
#define RPC_CALL_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

struct rpc_call_own;

struct rpc_call {
	const ProtobufCMessage *request; /* unpacked; borrowed */
	void *service;			 /* of the struct rpc_method; borrowed */
	int64_t deadline_ms;		 /* by clock_ms(): after it nobody waits for the answer */
	struct rpc_call_own *own;	 /* of rpc/ */
};

/*
 * Answers a call: 0 after a successful rpc_call_reply(), or -1 with `e` filled, which becomes
 * the gRPC status. A worker's handler may block; one answered in the loop must never.
 */
typedef int rpc_handler(struct rpc_call *call, struct err *e);

/*
 * Packs the reply; the last one given counts. `reply` stays the caller's. INTERNAL when it is
 * larger than the limit of the server or holds text that is not UTF-8.
 */
int rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *reply, struct err *e) MUST_CHECK;

/* The value of one key of the request's secrets, or NULL when absent. Borrowed. */
const struct secret *rpc_call_secret(const struct rpc_call *call, const char *name);

/* How many entries the request's secrets had. */
size_t rpc_call_secret_count(const struct rpc_call *call);

#endif
