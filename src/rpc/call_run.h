/* Running the handler of one call, in the loop or in a worker. */
#ifndef RPC_CALL_RUN_H
#define RPC_CALL_RUN_H

#include "rpc/call.h"
#include "rpc/server.h"

/* A reply has this much room at its front for the prefix (rpc/frame.h). */
struct call_reply {
	uint8_t *buffer; /* owned; NULL: none */
	size_t size;	 /* of the message, without the prefix */
};

/* "/csi.v1.Node/NodeStageVolume" -> "NodeStageVolume". Borrowed from path. */
const char *call_short_name(const char *path);

/*
 * Checks and unpacks the request; its bytes and everything secret in it are wiped on the way,
 * whatever the outcome. NULL with `e` filled when it is not a valid message of the method.
 */
struct rpc_call *call_open(const struct rpc_method *method, int64_t deadline_ms, size_t reply_limit,
			   uint8_t *request, size_t size, struct err *e);

/* Wipes and frees; NULL is fine. */
void call_close(struct rpc_call *call);

/* What the call is about: the request's volume_id or name, shown safely; "" if it has none. */
#define CALL_SUBJECT_SIZE 129
void call_subject(const struct rpc_call *call, char ret_subject[CALL_SUBJECT_SIZE]);

/* Runs the handler. 0 moves its reply into *ret_reply. */
int call_handle(struct rpc_call *call, struct call_reply *ret_reply, struct err *e);

#endif
