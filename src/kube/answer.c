/* Replies of the API server into objects and sentences. */
#include "kube/answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

bool answer_is_passing(long status)
{
	return status == 429 || status == 500 || (status >= 502 && status <= 504);
}

static enum err_code code_of(long status, const char *reason)
{
	switch (status) {
	case 400:
	case 422:
		return ERR_INVALID_ARGUMENT;
	case 401:
		return ERR_UNAUTHENTICATED;
	case 403:
		return ERR_PERMISSION_DENIED;
	case 404:
		return ERR_NOT_FOUND;
	case 409:
		return strcmp(reason, "AlreadyExists") == 0 ? ERR_ALREADY_EXISTS : ERR_ABORTED;
	case 410:
		return ERR_OUT_OF_RANGE;
	case 413:
		return ERR_RESOURCE_EXHAUSTED;
	default:
		return ERR_UNAVAILABLE;
	}
}

static const char *hint_of(long status)
{
	switch (status) {
	case 401:
		return " (is the token of the service account still good?)";
	case 403:
		return " (the RBAC rules of the driver are missing or too narrow: see the chart)";
	default:
		return "";
	}
}

static int refuse(long status, const json_t *object, const char *what, struct err *e)
{
	const char *reason = json_string_value(json_object_get(object, "reason"));
	const char *message = json_string_value(json_object_get(object, "message"));
	enum err_code code = code_of(status, reason ? reason : "");

	if (status == 404 && !reason) {
		err_set(e, code,
			"%s: the Kubernetes API does not know this kind of object (HTTP status "
			"404)",
			what);
		e->sys = ENODEV;
		return -1;
	}
	if (message && *message)
		return err_set(e, code, "%s: the Kubernetes API says: %.500s%s", what, message,
			       hint_of(status));
	return err_set(e, code, "%s: the Kubernetes API answers with HTTP status %ld%s", what,
		       status, hint_of(status));
}

int answer_status(const json_t *status, const char *what, struct err *e)
{
	long code = (long)json_integer_value(json_object_get(status, "code"));

	return refuse(code, status, what, e);
}

bool answer_is_of_no_kind(const struct err *e)
{
	return e->code == ERR_NOT_FOUND && e->sys == ENODEV;
}

json_t *answer_object(const struct http_reply *reply, const char *what, struct err *e)
{
	bool is_good = reply->status >= 200 && reply->status <= 299;
	struct err why = { 0 };
	/* A proxy on the way answers errors with a page of its own. */
	json_t *object = json_parse_object(reply->body ? reply->body : "", "answer", &why);

	if (is_good && object)
		return object;
	if (is_good)
		err_set(e, ERR_UNAVAILABLE, "%s: the answer of the Kubernetes API is broken: %s",
			what, why.msg);
	else
		refuse(reply->status, object, what, e);
	json_decref(object);
	return NULL;
}
