/* act: what a worker of the test server does, named by an id such as `sleep-500`. */
#ifndef RPC_TEST_ACT_H
#define RPC_TEST_ACT_H

#include "base/err.h"
#include "rpc/call.h"

/* The answer, or NULL with `e`. `call` is NULL in a job. The caller frees. */
char *act_do(const struct rpc_call *call, const char *id, struct err *e);

#endif
