/* The error that a call carries. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	char msg[sizeof(e->msg)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(msg, sizeof(msg), fmt, args);
	va_end(args);

	/* It may quote a request or a damaged disk, and is shown on terminals and in events. */
	text_make_clean(msg);
	e->code = code;
	e->sys = 0;
	memcpy(e->msg, msg, sizeof(msg));
	return -1;
}

static enum err_code code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
		return ERR_RESOURCE_EXHAUSTED;
	case ETIMEDOUT:
		return ERR_DEADLINE_EXCEEDED;
	default:
		return ERR_INTERNAL;
	}
}

int err_sys(struct err *e, int errnum, const char *fmt, ...)
{
	char msg[sizeof(e->msg)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(msg, sizeof(msg), fmt, args);
	va_end(args);

	err_set(e, code_of_errno(errnum), "%s: %s", msg, strerror(errnum));
	e->sys = errnum;
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char prefix[sizeof(e->msg)], rest[sizeof(e->msg)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(prefix, sizeof(prefix), fmt, args);
	va_end(args);

	memcpy(rest, e->msg, sizeof(rest));
	size_t used = strnlen(prefix, sizeof(prefix) - 1);
	memcpy(e->msg, prefix, used);
	int room = used + 2 < sizeof(e->msg) ? (int)(sizeof(e->msg) - used - 3) : 0;
	snprintf(e->msg + used, sizeof(e->msg) - used, ": %.*s", room, rest);
	text_make_clean(e->msg);
	return -1;
}

const char *err_code_name(enum err_code code)
{
	static const char *const names[] = {
		[ERR_OK] = "OK",
		[ERR_CANCELLED] = "CANCELLED",
		[ERR_UNKNOWN] = "UNKNOWN",
		[ERR_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
		[ERR_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
		[ERR_NOT_FOUND] = "NOT_FOUND",
		[ERR_ALREADY_EXISTS] = "ALREADY_EXISTS",
		[ERR_PERMISSION_DENIED] = "PERMISSION_DENIED",
		[ERR_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
		[ERR_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
		[ERR_ABORTED] = "ABORTED",
		[ERR_OUT_OF_RANGE] = "OUT_OF_RANGE",
		[ERR_UNIMPLEMENTED] = "UNIMPLEMENTED",
		[ERR_INTERNAL] = "INTERNAL",
		[ERR_UNAVAILABLE] = "UNAVAILABLE",
		[ERR_DATA_LOSS] = "DATA_LOSS",
		[ERR_UNAUTHENTICATED] = "UNAUTHENTICATED",
	};

	if ((unsigned)code >= ARRAY_LEN(names))
		return "UNKNOWN";
	return names[code];
}
