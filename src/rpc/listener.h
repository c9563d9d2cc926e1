/* A listening unix socket of ours. */
#ifndef RPC_LISTENER_H
#define RPC_LISTENER_H

#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"

struct listener {
	int fd; /* non-blocking; -1: closed */
	struct sockaddr_un address;
	dev_t device;
	ino_t inode;
};

/* Binds and listens; errors as of rpc_server_listen(). */
int listener_open(struct listener *listener, const char *path, struct err *e) MUST_CHECK;

/* Closes; removes the socket if nobody else has put another in its place. */
void listener_close(struct listener *listener);

#endif
