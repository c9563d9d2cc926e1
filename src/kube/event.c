/* Events are objects like others; the API server forgets them after an hour. */
#include "kube/event.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

/* The same saying of the same object has the same name, so that it is counted and not repeated. */
static char *name_of(const struct kube_event *event)
{
	char hash[HASH_HEX_SIZE];
	auto_free char *saying =
		xasprintf("%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%d", event->kind, event->name,
			  or_empty(event->name_space), or_empty(event->uid), event->reason,
			  event->message, event->component, event->host, event->is_warning);

	hash_hex(saying, hash);
	return xasprintf("%.200s.%.16s", event->name, hash);
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

/* In two steps, so that whoever sends events need not be allowed to read them. */
static int count_again(struct kube_client *client, const char *path, const char *now, struct err *e)
{
	auto_json json_t *seen = json_pack("{s:s}", "lastTimestamp", now), *before = NULL;

	if (kube_patch(client, path, seen, &before, e) < 0)
		return -1;
	json_int_t count = json_integer_value(json_object_get(before, "count"));
	auto_json json_t *more = json_pack("{s:I}", "count", count + 1);
	return kube_patch(client, path, more, NULL, e);
}

int kube_event_send(struct kube_client *client, const struct kube_event *event, struct err *e)
{
	const char *name_space = event->name_space ? event->name_space : "default";
	auto_free char *resource = xasprintf("/api/v1/namespaces/%s/events", name_space);
	auto_free char *name = name_of(event);
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
	if (kube_create(client, resource, object, NULL, e) == 0)
		return 0;
	if (e->code != ERR_ALREADY_EXISTS)
		return -1;
	auto_free char *path = kube_path(resource, name, NULL, NULL);
	return count_again(client, path, now, e);
}
