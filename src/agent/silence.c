/* Looking for silent nodes, in a worker, again and again. */
#include "agent/silence.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/health.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/client.h"
#include "rpc/job.h"
#include "volume/luksvolume.h"
#include "volume/node_room.h"

#define MANAGER "lukscryptwalker-controller"

enum { LOOK_MS = 60 * 1000 };

struct silence {
	struct reactor *reactor;
	struct rpc_server *server;
	const struct csi_service *service;
	struct reactor_timer *timer;
	bool is_in_trouble; /* and that was logged */
};

struct look {
	const struct csi_service *service;
	struct node_texts living;
	size_t silent, failed;
};

/* One object's trouble must not hide the others; one that was just changed speaks for itself. */
static void count_failure(struct look *look, const char *name, const struct err *e)
{
	if (e->code == ERR_ABORTED || e->code == ERR_NOT_FOUND)
		return;
	look->failed++;
	log_warn("cannot say of an object that its node is silent", KV("object", name),
		 KV("error", e->msg));
}

static int look_at_node(void *data, const json_t *object, struct err *e)
{
	struct look *look = data;
	auto_node_room struct node_room room = { 0 };

	node_room_parse(object, &room);
	if (!node_room_is_stale(&room, time(NULL))) {
		node_texts_add(&look->living, room.name);
		return 0;
	}
	look->silent++;
	auto_free char *path = kube_path(NODE_ROOM_RESOURCE, room.name, "status", NULL);
	auto_json json_t *change = node_room_silence(object);
	if (change && kube_apply(look->service->kube, path, MANAGER, change, NULL, e) < 0)
		count_failure(look, room.name, e);
	else if (change)
		log_warn("a node says nothing any more", KV("node", room.name));
	return 0;
}

static bool is_living(const struct look *look, const char *node)
{
	for (size_t i = 0; i < look->living.count; i++)
		if (strcmp(look->living.all[i], node) == 0)
			return true;
	return false;
}

/* The node that alone could speak of the volume and does not; NULL: there is none. Borrowed. */
static const char *silent_node(const struct look *look, const json_t *object)
{
	const json_t *spec = json_object_get(object, "spec");
	const json_t *status = json_object_get(object, "status");
	const char *node = json_string_value(json_object_get(spec, "nodeName")), *one;
	json_t *value;

	if (node)
		return is_living(look, node) ? NULL : node;
	json_object_foreach(json_object_get(status, "nodes"), one, value)
	{
		if (is_living(look, one))
			return NULL;
		node = one;
	}
	return node;
}

static int look_at_volume(void *data, const json_t *object, struct err *e)
{
	struct look *look = data;
	const char *node = silent_node(look, object);
	const char *name =
		json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
	auto_json json_t *patch = node ? luksvolume_silence_patch(object, node) : NULL;
	auto_free char *path = kube_path(LUKSVOLUMES, name, "status", NULL);

	if (patch && kube_patch(look->service->kube, path, patch, NULL, e) < 0)
		count_failure(look, name, e);
	else if (patch)
		health_tell(look->service, object, patch);
	return 0;
}

static int run_look(void *data, char **ret_text, struct err *e)
{
	const struct silence *silence = data;
	struct kube_client *kube = silence->service->kube;
	struct look look = { .service = silence->service };

	int rc = kube_list(kube, NODE_ROOM_RESOURCE, NULL, look_at_node, &look, e);
	if (rc == 0 && look.silent)
		rc = kube_list(kube, LUKSVOLUMES, NULL, look_at_volume, &look, e);
	node_texts_done(&look.living);
	if (rc < 0)
		return -1;
	if (look.failed)
		return err_set(e, ERR_UNAVAILABLE, "%zu objects could not be changed", look.failed);
	*ret_text = xstrdup("");
	return 0;
}

static void on_time(void *data);

static void look_done(void *data, const char *text, const struct err *e)
{
	struct silence *silence = data;

	if (!text && !silence->is_in_trouble)
		log_warn("cannot look for silent nodes, trying again", KV("error", e->msg));
	silence->is_in_trouble = !text;
	silence->timer = reactor_after(silence->reactor, LOOK_MS, on_time, silence);
}

static void on_time(void *data)
{
	struct silence *silence = data;
	const struct rpc_job job = {
		.name = "silence", .run = run_look, .done = look_done, .data = silence
	};
	struct err e = { 0 };

	silence->timer = NULL;
	if (rpc_server_start_job(silence->server, &job, &e) < 0)
		look_done(silence, NULL, &e);
}

struct silence *silence_new(struct reactor *reactor, struct rpc_server *server,
			    const struct csi_service *service)
{
	struct silence *silence = xcalloc(1, sizeof(*silence));

	silence->reactor = reactor;
	silence->server = server;
	silence->service = service;
	silence->timer = reactor_after(reactor, 0, on_time, silence);
	return silence;
}

void silence_free(struct silence *silence)
{
	if (!silence)
		return;
	reactor_cancel(silence->timer);
	free(silence);
}
