/*
 * Nodes that say nothing any more cannot say so themselves. The controller does: every minute it
 * looks for LUKSNodes without a recent report, and writes Unknown where Ready stood, and where
 * Healthy stood in the LUKSVolumes that only such a node could speak of. What a node says when it
 * is back overwrites it. Two controllers may do this at once.
 */
#ifndef AGENT_SILENCE_H
#define AGENT_SILENCE_H

#include "base/reactor.h"
#include "csi/service.h"
#include "rpc/server.h"

struct silence;

/* Begins at once. The service needs `kube`; all is borrowed for the life of it. Never NULL. */
struct silence *silence_new(struct reactor *reactor, struct rpc_server *server,
			    const struct csi_service *service);

/* After the server was freed, whose workers report to it. NULL is fine. */
void silence_free(struct silence *silence);

#endif
