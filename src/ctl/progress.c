/* A bar for long work. */
#include "ctl/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { BAR_WIDTH = 40 };

void progress_start(struct progress *progress, const char *what)
{
	*progress = (struct progress){ .what = what, .shown = isatty(STDERR_FILENO) };
}

void progress_show(const struct progress *progress, uint64_t done, uint64_t total)
{
	int64_t ms = clock_ms() - progress->started_ms;
	uint64_t here = done - progress->first_done;
	uint64_t rate = ms > 0 ? here * 1000 / (uint64_t)ms : 0;
	int filled = total ? (int)(done * BAR_WIDTH / total) : 0;
	char bar[BAR_WIDTH + 1];

	if (!progress->shown)
		return;
	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r%s [%s] %3" PRIu64 "%%", progress->what, bar,
		total ? done * 100 / total : 100);
	if (rate)
		fprintf(stderr, "  %" PRIu64 " MiB/s  %" PRIu64 " s left \033[K", rate >> 20,
			(total - done) / rate);
	fflush(stderr);
}

void progress_end(const struct progress *progress)
{
	if (progress->shown)
		fputc('\n', stderr);
}

void progress_throttle(const struct progress *progress, uint64_t done, uint64_t rate)
{
	if (!rate)
		return;
	int64_t due = (int64_t)((double)(done - progress->first_done) * 1000.0 / (double)rate);
	int64_t early = due - (clock_ms() - progress->started_ms);
	if (early > 0) {
		const struct timespec wait = { early / 1000, early % 1000 * 1000000 };

		nanosleep(&wait, NULL); /* a signal ends it: the caller looks at that */
	}
}
