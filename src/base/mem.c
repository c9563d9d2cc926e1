/* Allocation that cannot fail. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

void *xcalloc(size_t count, size_t size)
{
	return need(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *old, size_t size)
{
	return need(realloc(old, size ? size : 1));
}

char *xstrdup(const char *text)
{
	return text ? need(strdup(text)) : NULL;
}

char *xasprintf(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	int length = vasprintf(&text, fmt, args);
	va_end(args);
	return need(length < 0 ? NULL : text);
}
