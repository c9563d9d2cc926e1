/* Exponential backoff with jitter. */
#include "kube/backoff.h"

#include <sys/random.h>

enum { MOST_BEYOND_MS = 60 * 1000 };

int64_t backoff_next(struct backoff *backoff, int64_t first_ms, int64_t last_ms, int64_t wanted_ms)
{
	int64_t wait_ms = first_ms;
	uint32_t random = 0;

	for (unsigned i = 0; i < backoff->failures && wait_ms < last_ms; i++)
		wait_ms *= 2;
	if (wait_ms > last_ms)
		wait_ms = last_ms;
	backoff->failures++;
	/* Without randomness there is still a wait. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) == sizeof(random))
		wait_ms -= random % (uint64_t)(wait_ms / 2 + 1);
	if (wanted_ms > last_ms + MOST_BEYOND_MS)
		wanted_ms = last_ms + MOST_BEYOND_MS;
	return wait_ms > wanted_ms ? wait_ms : wanted_ms;
}
