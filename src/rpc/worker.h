/* The process of one call. */
#ifndef RPC_WORKER_H
#define RPC_WORKER_H

#include "rpc/stream.h"

/*
 * Forks a worker for a complete request; the parent's copy of it is wiped. -1 with `e` when
 * there is no room for one more.
 */
int worker_start(struct stream *stream, struct err *e) MUST_CHECK;

/* The client got `what` instead of the outcome ("DEADLINE_EXCEEDED") or is "gone". */
void worker_detach(struct worker *worker, const char *what);

/* Whether some call's outcome is still to come. */
bool worker_any_unfinished(const struct rpc_server *server);

/* Forgets all workers of a server; the processes go on. */
void worker_forget_all(struct rpc_server *server);

#endif
