/* Events: what people see with `kubectl describe` and `kubectl get events`. */
#ifndef KUBE_EVENT_H
#define KUBE_EVENT_H

#include <stdbool.h>

#include "base/err.h"
#include "kube/client.h"

struct kube_event {
	const char *api_version, *kind, *name; /* of the object that it is about */
	const char *name_space;		       /* of the object; NULL: it has none */
	const char *uid;	      /* NULL: not known, and `kubectl describe` does not show it */
	bool is_warning;	      /* or only good to know */
	const char *reason;	      /* "InOneWord" */
	const char *message;	      /* at most 1023 bytes are sent */
	const char *component, *host; /* who says it, and where */
};

/* What was said of the object before, in the same words, is counted at the event that is there. */
int kube_event_send(struct kube_client *client, const struct kube_event *event,
		    struct err *e) MUST_CHECK;

#endif
