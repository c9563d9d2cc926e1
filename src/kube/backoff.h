/* How long to wait before something is tried again. */
#ifndef KUBE_BACKOFF_H
#define KUBE_BACKOFF_H

#include <stdint.h>

/* To be set to 0 by a success. */
struct backoff {
	unsigned failures;
};

/*
 * Counts a failure and returns the milliseconds to wait: first_ms, doubled with each failure up to
 * last_ms, of which a random part (up to half) is taken off, so that a server that comes back is
 * not asked by everybody at once. At least `wanted_ms` where the server asked for that (-1: it
 * did not), but never more than a minute beyond last_ms.
 */
int64_t backoff_next(struct backoff *backoff, int64_t first_ms, int64_t last_ms, int64_t wanted_ms);

#endif
