/* Turns of the condition Healthy, as Events. */
#include "agent/health.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/event.h"
#include "volume/luksvolume.h"

static const char *text_of(const json_t *object, const char *part, const char *key)
{
	return json_string_value(json_object_get(json_object_get(object, part), key));
}

static void send(const struct csi_service *service, const struct kube_event *event)
{
	struct err e = { 0 };

	if (kube_event_send(service->kube, event, &e) < 0)
		log_warn("cannot tell people of the health of a volume", KV("kind", event->kind),
			 KV("name", event->name), KV("error", e.msg));
}

/* external-provisioner names a volume "pvc-" and the uid of its claim. */
static const char *claim_uid(const json_t *object)
{
	const char *name = text_of(object, "spec", "volumeID");

	return name && strlen(name) == 40 && strncmp(name, "pvc-", 4) == 0 ? name + 4 : NULL;
}

static void tell_claim(const struct csi_service *service, const json_t *object,
		       struct kube_event event)
{
	const char *claim = text_of(object, "spec", "claim");
	const char *slash = claim ? strchr(claim, '/') : NULL;

	if (!slash)
		return;
	auto_free char *name_space = xasprintf("%.*s", (int)(slash - claim), claim);
	event.api_version = "v1";
	event.kind = "PersistentVolumeClaim";
	event.name_space = name_space;
	event.name = slash + 1;
	event.uid = claim_uid(object);
	send(service, &event);
}

static bool is_well(const char *word)
{
	return !word || strcmp(word, "True") == 0;
}

void health_tell(const struct csi_service *service, const json_t *object, const json_t *patch)
{
	const char *before = luksvolume_healthy(object), *now = luksvolume_healthy(patch);
	bool is_worse = now && !is_well(now) && (!before || strcmp(before, now) != 0);

	if (!now || (!is_worse && (is_well(before) || !is_well(now))) ||
	    json_object_get(json_object_get(object, "metadata"), "deletionTimestamp"))
		return;
	const struct kube_event event = {
		.api_version = KUBE_GROUP "/v1alpha1",
		.kind = "LUKSVolume",
		.name = text_of(object, "metadata", "name"),
		.uid = text_of(object, "metadata", "uid"),
		.is_warning = is_worse,
		.reason = is_worse ? "VolumeUnhealthy" : "VolumeHealthy",
		.message = is_worse ? luksvolume_healthy_message(patch)
				    : "the volume is as it should be again",
		.component = DRIVER_NAME,
		.host = service->node.id,
	};

	tell_claim(service, object, event);
	send(service, &event);
}
