/* The parts of one role, built from the command line, and run. */
#ifndef WIRING_H
#define WIRING_H

#include "base/err.h"
#include "config.h"

/*
 * Serves until SIGTERM or SIGINT: then answers what runs, leaves every mount alone and returns 0.
 * -1 with `e` filled when a part cannot be built.
 */
int wiring_run(const struct config *config, struct err *e) MUST_CHECK;

#endif
