/*
 * /healthz, /readyz and /metrics over HTTP/1.0, in the event loop. Three answers to GET are all
 * that it serves: each connection carries one request of at most 4 KiB and is then closed.
 */
#ifndef OPS_HTTP_H
#define OPS_HTTP_H

#include "base/err.h"
#include "base/reactor.h"

struct http_server;

/*
 * Listens on host ("" for all addresses) and port. NULL with `e` filled (FAILED_PRECONDITION
 * when the address is in use, naming the option) on failure. `metrics` gives the text of /metrics,
 * owned by the caller of it; it must not block.
 */
struct http_server *http_server_new(struct reactor *reactor, const char *host, const char *port,
				    char *(*metrics)(void *data), void *data, struct err *e);

/* Where it listens: "[::]:9808". With port 0 the kernel has chosen one. The caller frees it. */
char *http_server_address(const struct http_server *server);

/* Closes listener and connections. NULL is fine. */
void http_server_free(struct http_server *server);

#endif
