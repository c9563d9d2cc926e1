/*
 * Allocation that cannot fail. The driver is crash-only and mounts live elsewhere, so running
 * out of memory ends the process; in exchange every input-sized allocation has a limit.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/macros.h"

/* Zeroed memory, owned by the caller. Never NULL. */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);

/* A copy of text, owned by the caller. NULL gives NULL. */
char *xstrdup(const char *text);

/* A formatted string, owned by the caller. Never NULL. */
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);

#endif
