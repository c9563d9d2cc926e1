/* What was looked at, what was seen, and what mends it: the answers of checks. */
#ifndef BASE_FINDING_H
#define BASE_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"

enum finding_level {
	FINDING_OK,
	FINDING_NOTE,  /* as it should be, but worth knowing */
	FINDING_WRONG, /* somebody should act */
};

struct finding {
	const char *what; /* borrowed, for the life of the program */
	enum finding_level level;
	char *text; /* what was seen */
	char *mend; /* the command or step that mends it; "" where there is none */
};

struct findings {
	struct finding *all;
	size_t count;
};

/* Adds one; `mend` is copied. */
void findings_add(struct findings *findings, const char *what, enum finding_level level,
		  const char *mend, const char *fmt, ...) PRINTF(5, 6);

bool findings_are_good(const struct findings *findings);

const char *finding_level_name(enum finding_level level);

void findings_done(struct findings *findings);
#define auto_findings __attribute__((cleanup(findings_done)))

#endif
