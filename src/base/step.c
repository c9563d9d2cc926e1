/* How long the slow steps of a call took. */
#include "base/step.h"

#include "base/clock.h"

static const char *const names[STEP_COUNT] = {
	[STEP_LUKS_FORMAT] = "luks_format",
	[STEP_LUKS_OPEN] = "luks_open",
	[STEP_FS_MAKE] = "fs_make",
	[STEP_FS_CHECK] = "fs_check",
};
static struct step_times noted = { .ms = { -1, -1, -1, -1 } };

const char *step_name(enum step step)
{
	return names[step];
}

void step_ended(enum step step, int64_t started_ms)
{
	noted.ms[step] = clock_ms() - started_ms;
}

void step_times_get(struct step_times *ret_times)
{
	*ret_times = noted;
}
