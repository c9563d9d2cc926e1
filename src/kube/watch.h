/*
 * Follows the objects of one kind in the event loop: lists them, watches from there, and does both
 * again for ever, whatever happens to the server: lost connections, old resource versions (410),
 * a server that says 429. Nothing is cached: memory holds one page of a list (100 objects) or one
 * object, 8 MiB of text at most.
 */
#ifndef KUBE_WATCH_H
#define KUBE_WATCH_H

#include "base/json.h"
#include "base/reactor.h"
#include "kube/config.h"

struct kube_watch;

enum kube_change { KUBE_PRESENT, KUBE_DELETED };

struct kube_watch_events {
	/*
	 * A list begins: what is not told between here and `listed` is no more. Comes again,
	 * without a `listed` between, when a list breaks off.
	 */
	void (*list_begins)(void *data);
	/* An object is there, new or changed or listed again; or it has been deleted. */
	void (*object)(void *data, enum kube_change change, const json_t *object);
	/* The list is complete. */
	void (*listed)(void *data);
	void *data;
};

struct kube_watch_settings {
	const char *resource; /* "/apis/GROUP/VERSION/RESOURCE" */
	const char *query;    /* selectors, "labelSelector=..." (kube_query()); NULL: all objects */
	int64_t first_wait_ms; /* after a first failure; 0: 1 s, doubled up to 30 s */
	int64_t request_s;     /* how long one watch lasts; 0: 5 to 10 minutes */
};

/*
 * Begins with a list, from the event loop: nothing is told before this has returned. Texts are
 * copied, the configuration is borrowed. Troubles are logged once, with the server's sentence, and
 * so is their end; a resource that does not exist (its CRD is not there yet) is one of them. Each
 * request has the token that is in its file then. NULL with `e` filled where libcurl cannot be had.
 */
struct kube_watch *kube_watch_new(struct reactor *reactor, const struct kube_config *config,
				  const struct kube_watch_settings *settings,
				  const struct kube_watch_events *events, struct err *e);

/*
 * Nothing is told afterwards. Also from inside an event. NULL is fine. A forked child leaves the
 * watch alone: its connection is the parent's.
 */
void kube_watch_free(struct kube_watch *watch);

#endif
