/* Calls and their repetition. */
#include "kube/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "kube/answer.h"
#include "kube/backoff.h"
#include "kube/http.h"

enum { FIRST_WAIT_MS = 100, LAST_WAIT_MS = 3000, TRY_MS = 10000 };

struct kube_client {
	struct kube_config config;
	struct http *http;
	int64_t timeout_ms;
};

/* One call: what it is, for the sentence and for the server. */
struct call {
	const char *verb; /* "read" */
	const char *method, *path, *content_type;
	const json_t *body;
	bool is_repeatable; /* made twice it is as good as once */
};

struct kube_client *kube_client_new(struct kube_config *config)
{
	struct kube_client *client = xcalloc(1, sizeof(*client));

	client->config = TAKE(*config, (struct kube_config){ 0 });
	client->timeout_ms = KUBE_TIMEOUT_MS;
	return client;
}

void kube_client_free(struct kube_client *client)
{
	if (!client)
		return;
	http_close(client->http);
	kube_config_done(&client->config);
	free(client);
}

void kube_client_set_timeout(struct kube_client *client, int64_t timeout_ms)
{
	client->timeout_ms = timeout_ms;
}

const struct kube_config *kube_client_config(const struct kube_client *client)
{
	return &client->config;
}

static void wait_ms(int64_t ms)
{
	struct timespec left = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&left, NULL);
}

/* "luksvolumes/pvc-1" of a path, for people. */
static char *shown_path(const char *path)
{
	static const char *const starts[] = { "/apis/", "/api/" };
	size_t length = strcspn(path, "?");

	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		const char *at = path + strlen(starts[i]);

		if (strncmp(path, starts[i], strlen(starts[i])) != 0)
			continue;
		/* Group and version, or the version alone. */
		for (size_t skip = i ? 1 : 2; skip > 0 && (at = strchr(at, '/')); skip--)
			at++;
		if (at && at < path + length)
			return xasprintf("%.*s", (int)(path + length - at), at);
	}
	return xasprintf("%.*s", (int)length, path);
}

/* The state of the tries of one call. */
struct tries {
	int64_t end_ms;
	struct backoff backoff;
	bool was_unauthenticated;
};

/* Whether to try again; waits before it says so. */
static bool pause_before_retry(struct tries *tries, int64_t retry_after_ms)
{
	int64_t ms = backoff_next(&tries->backoff, FIRST_WAIT_MS, LAST_WAIT_MS, retry_after_ms);

	if (clock_ms() + ms >= tries->end_ms)
		return false;
	wait_ms(ms);
	return true;
}

/* One try. 1: try again. */
static int try_call(struct kube_client *client, const struct call *call, const char *text,
		    const char *what, struct tries *tries, json_t **ret_object, struct err *e)
{
	int64_t left_ms = tries->end_ms - clock_ms();
	struct http_request request = {
		.method = call->method,
		.path = call->path,
		.content_type = call->content_type,
		.body = text,
		.timeout_ms = left_ms < 1	 ? 1
			      : left_ms < TRY_MS ? left_ms
						 : TRY_MS,
	};
	struct http_reply reply = { .retry_after_ms = -1 };
	bool may_have_run;

	if (http_do(client->http, &request, &reply, &may_have_run, e) < 0) {
		err_wrap(e, "%s", what);
		if (e->code != ERR_UNAVAILABLE && e->code != ERR_DEADLINE_EXCEEDED)
			return -1;
		if (may_have_run && !call->is_repeatable)
			return -1;
		return pause_before_retry(tries, -1) ? 1 : -1;
	}
	json_t *object = answer_object(&reply, what, e);
	secret_wipe(reply.body, reply.size); /* it may have been a Secret */
	free(reply.body);
	if (object) {
		*ret_object = object;
		return 0;
	}
	/* The token may have been changed just now: it is read anew for each try. */
	if (reply.status == 401 && !tries->was_unauthenticated) {
		tries->was_unauthenticated = true;
		return 1;
	}
	/* 429 was not let in; after another one a change may have been made. */
	if (!answer_is_passing(reply.status) || (reply.status != 429 && !call->is_repeatable))
		return -1;
	return pause_before_retry(tries, reply.retry_after_ms) ? 1 : -1;
}

static int run(struct kube_client *client, const struct call *call, json_t **ret_object,
	       struct err *e)
{
	struct tries tries = { .end_ms = clock_ms() + client->timeout_ms };
	auto_free char *text = call->body ? json_dumps(call->body, JSON_COMPACT) : NULL;
	auto_free char *shown = shown_path(call->path);
	auto_free char *what = xasprintf("cannot %s %s", call->verb, shown);
	json_t *object = NULL;
	int rc;

	if (!client->http)
		client->http = http_open(&client->config, e);
	if (!client->http)
		return -1;
	do
		rc = try_call(client, call, text, what, &tries, &object, e);
	while (rc > 0);
	if (rc < 0)
		return -1;
	if (ret_object)
		*ret_object = object;
	else
		json_decref(object);
	return 0;
}

int kube_get(struct kube_client *client, const char *path, json_t **ret_object, struct err *e)
{
	struct call call = { .verb = "read", .method = "GET", .path = path, .is_repeatable = true };

	return run(client, &call, ret_object, e);
}

int kube_create(struct kube_client *client, const char *resource, const json_t *object,
		json_t **ret_object, struct err *e)
{
	struct call call = { .verb = "create",
			     .method = "POST",
			     .path = resource,
			     .content_type = "application/json",
			     .body = object };

	return run(client, &call, ret_object, e);
}

int kube_replace(struct kube_client *client, const char *path, const json_t *object,
		 json_t **ret_object, struct err *e)
{
	struct call call = { .verb = "change",
			     .method = "PUT",
			     .path = path,
			     .content_type = "application/json",
			     .body = object };

	return run(client, &call, ret_object, e);
}

int kube_patch(struct kube_client *client, const char *path, const json_t *patch,
	       json_t **ret_object, struct err *e)
{
	struct call call = { .verb = "change",
			     .method = "PATCH",
			     .path = path,
			     .content_type = "application/merge-patch+json",
			     .body = patch,
			     .is_repeatable = true };

	return run(client, &call, ret_object, e);
}

int kube_apply(struct kube_client *client, const char *path, const char *manager,
	       const json_t *object, json_t **ret_object, struct err *e)
{
	auto_free char *field = kube_query("fieldManager", manager);
	auto_free char *whole = xasprintf("%s?force=true&%s", path, field);
	struct call call = { .verb = "write",
			     .method = "PATCH",
			     .path = whole,
			     .content_type = "application/apply-patch+yaml",
			     .body = object,
			     .is_repeatable = true };

	return run(client, &call, ret_object, e);
}

int kube_delete(struct kube_client *client, const char *path, const char *uid, struct err *e)
{
	auto_json json_t *options = json_pack("{s:s, s:s, s:{}}", "kind", "DeleteOptions",
					      "apiVersion", "v1", "preconditions");
	struct call call = { .verb = "delete",
			     .method = "DELETE",
			     .path = path,
			     .content_type = "application/json",
			     .body = options,
			     .is_repeatable = true };

	if (uid)
		json_object_set_new(json_object_get(options, "preconditions"), "uid",
				    json_string(uid));
	if (run(client, &call, NULL, e) == 0 || e->code == ERR_NOT_FOUND ||
	    (uid && e->code == ERR_ABORTED))
		return 0;
	return -1;
}

int kube_update(struct kube_client *client, const char *path,
		int (*change)(void *data, json_t *object, struct err *e), void *data, struct err *e)
{
	struct tries tries = { .end_ms = clock_ms() + client->timeout_ms };

	for (;;) {
		auto_json json_t *object = NULL;

		if (kube_get(client, path, &object, e) < 0)
			return -1;
		int rc = change(data, object, e);
		if (rc <= 0)
			return rc;
		if (kube_replace(client, path, object, NULL, e) == 0)
			return 0;
		if (e->code != ERR_ABORTED || !pause_before_retry(&tries, -1))
			return -1;
	}
}
