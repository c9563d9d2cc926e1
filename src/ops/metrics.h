/* Counters of this process in the text format of Prometheus (exposition format 0.0.4). */
#ifndef OPS_METRICS_H
#define OPS_METRICS_H

#include "rpc/server.h"

struct metrics;

/* Never NULL. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* Fills an observer that counts the calls of a server; `metrics` must outlive the server. */
void metrics_observer(struct metrics *metrics, struct rpc_observer *ret_observer);

/* All metrics as text, owned by the caller. Never NULL. */
char *metrics_text(const struct metrics *metrics);

#endif
