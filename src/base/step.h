/*
 * How long the slow steps of a call took, for metrics. A worker is a process for one call, so what
 * it notes here is about that call; the loop gets it with the outcome.
 */
#ifndef BASE_STEP_H
#define BASE_STEP_H

#include <stdint.h>

enum step { STEP_LUKS_FORMAT, STEP_LUKS_OPEN, STEP_FS_MAKE, STEP_FS_CHECK, STEP_COUNT };

struct step_times {
	int64_t ms[STEP_COUNT]; /* -1: was not done */
};

/* "luks_open", ...; static. */
const char *step_name(enum step step);

/* Notes a step that began at started_ms of clock_ms() and ends now; the last one of a kind counts.
 */
void step_ended(enum step step, int64_t started_ms);

/* What this process noted. */
void step_times_get(struct step_times *ret_times);

#endif
