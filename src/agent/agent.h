/*
 * The agent: what a cluster wants of this node's disk is done, and what the node has is told. It
 * watches the LUKSVolumes of its node; each that waits for something is worked on in a worker
 * (agent/work.h). Calls of kubelet never wait for it, nor for the API server.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "base/reactor.h"
#include "csi/service.h"
#include "rpc/server.h"

struct agent;

/*
 * Begins at once; an API server that is away is waited for. The service needs `kube`; its store is
 * this node's own. All is borrowed for the life of the agent. NULL with `e` filled where libcurl
 * cannot be had.
 */
struct agent *agent_new(struct reactor *reactor, struct rpc_server *server,
			const struct csi_service *service, struct err *e);

/* After the server was freed, whose workers report to it; they go on. NULL is fine. */
void agent_free(struct agent *agent);

#endif
