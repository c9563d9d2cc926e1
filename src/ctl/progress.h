/* A bar for long work, on standard error and only at a terminal. */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what;    /* borrowed */
	bool shown;	     /* standard error is a terminal */
	int64_t started_ms;  /* when the first piece began */
	uint64_t first_done; /* what was done then */
};

void progress_start(struct progress *progress, const char *what);

/* Draws the bar, with speed and the time that is left. */
void progress_show(const struct progress *progress, uint64_t done, uint64_t total);

/* Ends its line. */
void progress_end(const struct progress *progress);

/* Waits so long that no more than `rate` bytes a second were done since the start; 0: never. */
void progress_throttle(const struct progress *progress, uint64_t done, uint64_t rate);

#endif
