/* Events are objects like others; the API server forgets them after an hour. */
#include "kube/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"

/* As other clients name them: the object and a moment. */
static char *new_name(const struct kube_event *event)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return xasprintf("%.200s.%" PRIx64, event->name,
			 (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
}

static json_t *involved(const struct kube_event *event)
{
	json_t *object = json_pack("{s:s, s:s, s:s}", "apiVersion", event->api_version, "kind",
				   event->kind, "name", event->name);

	if (event->name_space)
		json_object_set_new(object, "namespace", json_string(event->name_space));
	if (event->uid)
		json_object_set_new(object, "uid", json_string(event->uid));
	return object;
}

int kube_event_send(struct kube_client *client, const struct kube_event *event, struct err *e)
{
	const char *name_space = event->name_space ? event->name_space : "default";
	auto_free char *resource = xasprintf("/api/v1/namespaces/%s/events", name_space);
	auto_free char *name = new_name(event);
	auto_free char *message = xasprintf("%.1023s", event->message);
	char now[CLOCK_TEXT_SIZE];

	clock_utc_text(now);
	auto_json json_t *object = json_pack(
		"{s:s, s:s, s:{s:s, s:s}, s:o, s:s, s:s, s:s, s:i, s:s, s:s, s:{s:s, s:s}, s:s, "
		"s:s}",
		"apiVersion", "v1", "kind", "Event", "metadata", "name", name, "namespace",
		name_space, "involvedObject", involved(event), "type",
		event->is_warning ? "Warning" : "Normal", "reason", event->reason, "message",
		message, "count", 1, "firstTimestamp", now, "lastTimestamp", now, "source",
		"component", event->component, "host", event->host, "reportingComponent",
		event->component, "reportingInstance", event->host);
	return kube_create(client, resource, object, NULL, e);
}
