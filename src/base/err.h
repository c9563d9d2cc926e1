/*
 * The error that a call carries: a gRPC status code and the sentence that a person reads in
 * `kubectl describe`. It lives on the caller's stack; there is nothing to free.
 *
 * Three dialects: base/ leaves return -errno; every layer above returns 0 or -1 and fills a
 * struct err; the wire speaks gRPC status. The numbers of enum err_code are those of gRPC, so
 * there is no mapping between the last two.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/macros.h"

enum err_code {
	ERR_OK = 0,
	ERR_CANCELLED = 1,
	ERR_UNKNOWN = 2,
	ERR_INVALID_ARGUMENT = 3,
	ERR_DEADLINE_EXCEEDED = 4,
	ERR_NOT_FOUND = 5,
	ERR_ALREADY_EXISTS = 6,
	ERR_PERMISSION_DENIED = 7,
	ERR_RESOURCE_EXHAUSTED = 8,
	ERR_FAILED_PRECONDITION = 9,
	ERR_ABORTED = 10,
	ERR_OUT_OF_RANGE = 11,
	ERR_UNIMPLEMENTED = 12,
	ERR_INTERNAL = 13,
	ERR_UNAVAILABLE = 14,
	ERR_DATA_LOSS = 15,
	ERR_UNAUTHENTICATED = 16,
};

struct err {
	enum err_code code;
	int sys; /* errno behind the error, 0 if none */
	char msg[768];
};

/*
 * Sets code and sentence; any earlier content is replaced. Whatever the sentence quotes, it is
 * clean text afterwards (text_make_clean()). Always -1: `return err_set(...)`.
 */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF(3, 4);

/*
 * Sets the sentence and appends the text of errnum. The code follows from errnum: ENOSPC and
 * EDQUOT are RESOURCE_EXHAUSTED, ETIMEDOUT is DEADLINE_EXCEEDED, everything else INTERNAL: an
 * errno is never a promise about a volume (NOT_FOUND, ALREADY_EXISTS, INVALID_ARGUMENT).
 * Always -1.
 */
int err_sys(struct err *e, int errnum, const char *fmt, ...) PRINTF(3, 4);

/* Puts a prefix and ": " before the sentence and keeps the code. Always -1. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* The name of a code as gRPC writes it, "FAILED_PRECONDITION". Never NULL. */
const char *err_code_name(enum err_code code);

#endif
