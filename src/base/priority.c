/* Niceness. */
#include "base/priority.h"

#include <stdbool.h>
#include <sys/resource.h>

enum { STEP_BACK = 10 }; /* to a tenth of the share */

static bool is_lowered;
static int before;

void priority_lower(void)
{
	before = getpriority(PRIO_PROCESS, 0);
	setpriority(PRIO_PROCESS, 0, before + STEP_BACK);
	is_lowered = true;
}

void priority_restore(void)
{
	if (is_lowered)
		setpriority(PRIO_PROCESS, 0, before);
}
