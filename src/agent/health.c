/* Turns of the condition Healthy, as Events. */
#include "agent/health.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/event.h"
#include "store/store_kube.h"
#include "volume/luksvolume.h"

#define PERSISTENT_VOLUMES "/api/v1/persistentvolumes"

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

/*
 * The PersistentVolume of the volume; it is asked for by its name, and only believed when it says
 * so, too. NULL: there is none (yet), or it is not shown to us.
 */
static json_t *find_pv(const struct csi_service *service, const json_t *object)
{
	const char *name = text_of(object, "spec", "volumeName");
	const char *id = text_of(object, "spec", "volumeID");
	json_t *pv = NULL;
	struct err e = { 0 };

	auto_free char *path = kube_path(PERSISTENT_VOLUMES, name && *name ? name : id, NULL, NULL);
	if (kube_get(service->kube, path, &pv, &e) < 0) {
		if (e.code != ERR_NOT_FOUND)
			log_warn("cannot look at the PersistentVolume of a volume",
				 KV("volume", id), KV("error", e.msg));
		return NULL;
	}
	const json_t *csi = json_object_get(json_object_get(pv, "spec"), "csi");
	const char *driver = json_string_value(json_object_get(csi, "driver"));
	const char *handle = json_string_value(json_object_get(csi, "volumeHandle"));
	if (driver && handle && strcmp(driver, DRIVER_NAME) == 0 && strcmp(handle, id) == 0)
		return pv;
	json_decref(pv);
	return NULL;
}

static void tell_pv(const struct csi_service *service, const json_t *pv, struct kube_event event)
{
	event.api_version = "v1";
	event.kind = "PersistentVolume";
	event.name = text_of(pv, "metadata", "name");
	event.uid = text_of(pv, "metadata", "uid");
	send(service, &event);
}

static void tell_claim(const struct csi_service *service, const char *name_space, const char *name,
		       const char *uid, struct kube_event event)
{
	event.api_version = "v1";
	event.kind = "PersistentVolumeClaim";
	event.name_space = name_space;
	event.name = name;
	event.uid = uid;
	send(service, &event);
}

/* The claim that has the volume now, which need not be the one that it was made for. */
static void tell_bound_claim(const struct csi_service *service, const json_t *pv,
			     const struct kube_event *event)
{
	const char *phase = text_of(pv, "status", "phase");
	const json_t *claim = json_object_get(json_object_get(pv, "spec"), "claimRef");
	const char *name_space = json_string_value(json_object_get(claim, "namespace"));
	const char *name = json_string_value(json_object_get(claim, "name"));

	if (phase && strcmp(phase, "Bound") == 0 && name_space && name)
		tell_claim(service, name_space, name,
			   json_string_value(json_object_get(claim, "uid")), *event);
}

/* external-provisioner names a volume "pvc-" and the uid of its claim. */
static const char *claim_uid(const json_t *object)
{
	const char *name = text_of(object, "spec", "volumeID");

	return name && strlen(name) == 40 && strncmp(name, "pvc-", 4) == 0 ? name + 4 : NULL;
}

static void tell_first_claim(const struct csi_service *service, const json_t *object,
			     const struct kube_event *event)
{
	const char *claim = text_of(object, "spec", "claim");
	const char *slash = claim ? strchr(claim, '/') : NULL;

	if (!slash)
		return;
	auto_free char *name_space = xasprintf("%.*s", (int)(slash - claim), claim);
	tell_claim(service, name_space, slash + 1, claim_uid(object), *event);
}

/* What happened to a volume, to all who look at it. */
struct news {
	bool is_warning;
	const char *reason, *message;
};

static void tell_people(const struct csi_service *service, const json_t *object,
			const struct news *news)
{
	auto_json json_t *pv = find_pv(service, object);
	const struct kube_event event = {
		.api_version = KUBE_GROUP "/v1alpha1",
		.kind = "LUKSVolume",
		.name = text_of(object, "metadata", "name"),
		.uid = text_of(object, "metadata", "uid"),
		.is_warning = news->is_warning,
		.reason = news->reason,
		.message = news->message,
		.component = DRIVER_NAME,
		.host = service->node.id,
	};

	if (pv) {
		tell_pv(service, pv, event);
		tell_bound_claim(service, pv, &event);
	} else {
		tell_first_claim(service, object, &event);
	}
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
	const struct news news = {
		.is_warning = is_worse,
		.reason = is_worse ? "VolumeUnhealthy" : "VolumeHealthy",
		.message = is_worse ? luksvolume_healthy_message(patch)
				    : "the volume is as it should be again",
	};
	tell_people(service, object, &news);
}

void health_tell_second(const struct csi_service *service, const struct volume_record *record)
{
	auto_json json_t *object = NULL;
	struct err ignored;

	if (store_kube_object(service->kube, record->id, &object, &ignored) < 0)
		return;
	const char *node = text_of(object, "spec", "nodeName");
	if (!node || strcmp(node, service->node.id) == 0)
		return;
	auto_free char *message = xasprintf(
		"node '%s' has %s this volume, too, made at %s, and the cluster looks for it on "
		"node '%s' only: was it restored from a backup? Nothing is deleted; "
		"docs/operations.md, \"A restored cluster\", says how to choose",
		service->node.id,
		record->state == VOLUME_RESERVED ? "an unused image of" : "data of",
		record->created, node);
	const struct news news = { true, "DataOnTwoNodes", message };
	tell_people(service, object, &news);
}
