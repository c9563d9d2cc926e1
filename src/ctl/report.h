/* Findings on standard output. */
#ifndef CTL_REPORT_H
#define CTL_REPORT_H

#include "base/finding.h"
#include "ctl/ctl.h"

/* As a table or as JSON; returns CTL_OK, or CTL_WRONG when one of them says so. */
int ctl_report(const struct ctl *ctl, const char *subject, const struct findings *findings);

#endif
