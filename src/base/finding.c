/* The answers of checks. */
#include "base/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void findings_add(struct findings *findings, const char *what, enum finding_level level,
		  const char *mend, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	findings->all = xrealloc(findings->all, (findings->count + 1) * sizeof(*findings->all));
	findings->all[findings->count++] =
		(struct finding){ what, level, xstrdup(text), xstrdup(mend) };
}

bool findings_are_good(const struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->all[i].level == FINDING_WRONG)
			return false;
	return true;
}

const char *finding_level_name(enum finding_level level)
{
	static const char *const names[] = { "ok", "note", "WRONG" };

	return names[level];
}

void findings_done(struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		free(findings->all[i].text);
		free(findings->all[i].mend);
	}
	free(findings->all);
	*findings = (struct findings){ 0 };
}
