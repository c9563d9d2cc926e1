/* What the API server's answers mean. Pure. */
#ifndef KUBE_ANSWER_H
#define KUBE_ANSWER_H

#include "base/err.h"
#include "base/json.h"
#include "kube/http.h"

/*
 * The object of a reply with status 2xx; release with json_decref(). Any other status is an error
 * with the server's own sentence behind `what` ("cannot read luksvolumes/pvc-1"):
 *
 *   404 NOT_FOUND   409 ALREADY_EXISTS (create) or ABORTED (a conflict: read again, try again)
 *   410 OUT_OF_RANGE (the resource version is too old: list again)   400, 422 INVALID_ARGUMENT
 *   401 UNAUTHENTICATED   403 PERMISSION_DENIED (the rule that is missing is named)
 *   413 RESOURCE_EXHAUSTED   429, 5xx and everything else UNAVAILABLE
 */
json_t *answer_object(const struct http_reply *reply, const char *what, struct err *e);

/* The same for a Status object that comes inside a watch. Always -1. */
int answer_status(const json_t *status, const char *what, struct err *e);

/* Whether NOT_FOUND says that the server has no such kind of object (its CRD is missing). */
bool answer_is_of_no_kind(const struct err *e);

/* Whether the same request may succeed later by itself: 429, 500, 502, 503, 504. */
bool answer_is_passing(long http_status);

#endif
