/*
 * The Kubernetes API for a worker: blocking calls on objects as JSON. Every call is bounded by
 * the client's time; within it whatever passes by itself is tried again (no connection, 429 with
 * its Retry-After, 5xx), but not a change that may have been made already (libcurl does that once,
 * where a connection that was used before closes without a byte of answer: names and versions keep
 * such a change from being made twice).
 *
 * Errors are those of answer.h, and UNAVAILABLE or DEADLINE_EXCEEDED when the server cannot be
 * reached within the time.
 */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "kube/config.h"

struct kube_client;

#define KUBE_TIMEOUT_MS 10000

/*
 * Takes over the configuration (which is empty afterwards). Asks nobody: libcurl is loaded by the
 * first call, in the process that makes it. A client may be used by a forked child. Never NULL.
 */
struct kube_client *kube_client_new(struct kube_config *config);
void kube_client_free(struct kube_client *client);

/* Of each call; default KUBE_TIMEOUT_MS. */
void kube_client_set_timeout(struct kube_client *client, int64_t timeout_ms);

/* The configuration, for a watch. Borrowed. */
const struct kube_config *kube_client_config(const struct kube_client *client);

/*
 * A place of the API, "/apis/GROUP/VERSION/RESOURCE" with an optional name, "/status", and query
 * ("limit=5"). All but RESOURCE's path may be NULL. Percent-encodes the name. Owned by the caller.
 */
char *kube_path(const char *resource, const char *name, const char *subresource, const char *query);

/* "KEY=VALUE" with the value percent-encoded. Owned by the caller. */
char *kube_query(const char *key, const char *value);

/* A page of a list (`next` is NULL for the first one), and a watch from `version` on. `query` may
 * be NULL. Owned by the caller. */
char *kube_page_path(const char *resource, const char *query, int limit, const char *next);
char *kube_watch_path(const char *resource, const char *query, const char *version,
		      int64_t seconds);

/* NOT_FOUND when it does not exist. Release *ret_object with json_decref(). */
int kube_get(struct kube_client *client, const char *path, json_t **ret_object,
	     struct err *e) MUST_CHECK;

/*
 * Calls `each` with every object below `resource`, page by page of 500, so that only one page is
 * in memory. -1 of `each` ends it and is returned. `query` may be NULL.
 */
int kube_list(struct kube_client *client, const char *resource, const char *query,
	      int (*each)(void *data, const json_t *object, struct err *e), void *data,
	      struct err *e) MUST_CHECK;

/*
 * The changes. *ret_object is what is there now; ret_object may be NULL. When an answer was lost
 * and it is not known whether the change was made, that is UNAVAILABLE or DEADLINE_EXCEEDED: ask.
 */
int kube_create(struct kube_client *client, const char *resource, const json_t *object,
		json_t **ret_object, struct err *e) MUST_CHECK;

/* ABORTED when the object's metadata.resourceVersion is not the latest one. */
int kube_replace(struct kube_client *client, const char *path, const json_t *object,
		 json_t **ret_object, struct err *e) MUST_CHECK;

/* A JSON merge patch (RFC 7386): null removes. May be tried again after a lost answer. */
int kube_patch(struct kube_client *client, const char *path, const json_t *patch,
	       json_t **ret_object, struct err *e) MUST_CHECK;

/*
 * Server-side apply as `manager`, which takes what others had said of the same fields: creates
 * what is missing (not a subresource). May be tried again after a lost answer.
 */
int kube_apply(struct kube_client *client, const char *path, const char *manager,
	       const json_t *object, json_t **ret_object, struct err *e) MUST_CHECK;

/*
 * Deletes; what is not there is success. With `uid` only the object that has it: another one of
 * that name is left alone, which is success too. An object with finalizers stays until they are
 * gone.
 */
int kube_delete(struct kube_client *client, const char *path, const char *uid,
		struct err *e) MUST_CHECK;

/*
 * Reads, lets `change` alter the object and writes it back; again, with what is there then, when
 * somebody else was faster. `change` returns 1 for "write", 0 for "good as it is", -1 for an error.
 */
int kube_update(struct kube_client *client, const char *path,
		int (*change)(void *data, json_t *object, struct err *e), void *data,
		struct err *e) MUST_CHECK;

#endif
