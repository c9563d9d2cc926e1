/* What the nodes of a cluster have room for, by their LUKSNodes, and what they are. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "csi/place.h"
#include "engine/condition.h"
#include "kube/client.h"
#include "store/store_kube.h"
#include "volume/luksvolume.h"
#include "volume/node_room.h"

/* NOT_FOUND when the node has never reported. */
static int look_at_node(const struct csi_service *service, const char *node,
			struct node_room *ret_room, struct err *e)
{
	auto_free char *path = kube_path(NODE_ROOM_RESOURCE, node, NULL, NULL);
	auto_json json_t *object = NULL;

	if (kube_get(service->kube, path, &object, e) < 0)
		return -1;
	node_room_parse(object, ret_room);
	return 0;
}

static void say_since(const struct node_room *room, char *ret_text, size_t size)
{
	struct tm utc;
	char time[32] = "";

	gmtime_r(&room->heartbeat, &utc);
	strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", &utc);
	snprintf(ret_text, size, "says nothing %s%s", room->heartbeat ? "since " : "at all",
		 room->heartbeat ? time : "");
}

/* Why the nodes that were looked at cannot have a volume, for the person who waits for it. */
struct reasons {
	char text[400];
	size_t count;
};

static void add_reason(struct reasons *reasons, const char *node, const char *why)
{
	size_t used = strlen(reasons->text);

	if (reasons->count++ < 4)
		snprintf(reasons->text + used, sizeof(reasons->text) - used, "%s'%.80s' %s",
			 used ? ", " : "", node, why);
}

/* Whether a volume fits on the node; *ret_free is what there is. */
static bool fits(const struct node_room *room, const struct volume_record *wanted,
		 struct reasons *reasons, uint64_t *ret_free)
{
	char why[64];

	*ret_free = 0;
	if (node_room_is_stale(room, time(NULL))) {
		say_since(room, why, sizeof(why));
		add_reason(reasons, room->name, why);
		return false;
	}
	*ret_free = node_room_free(room, wanted->params.value[PARAM_LOCAL_PATH]);
	if (*ret_free >= wanted->capacity_bytes)
		return true;
	snprintf(why, sizeof(why), "has %" PRIu64 " bytes", *ret_free);
	add_reason(reasons, room->name, why);
	return false;
}

struct choice {
	const struct volume_record *wanted;
	struct reasons reasons;
	uint64_t best;
	char node[NODE_NAME_SIZE];
};

static int look_at_any(void *data, const json_t *object, struct err *e)
{
	struct choice *choice = data;
	struct node_room room;
	uint64_t bytes;

	(void)e;
	node_room_parse(object, &room);
	if (fits(&room, choice->wanted, &choice->reasons, &bytes) && bytes > choice->best) {
		choice->best = bytes;
		memcpy(choice->node, room.name, sizeof(choice->node));
	}
	node_room_done(&room);
	return 0;
}

static int look_at_named(const struct csi_service *service, const struct place_nodes *nodes,
			 struct choice *choice, struct err *e)
{
	for (size_t i = 0; i < nodes->count && !*choice->node; i++) {
		struct node_room room = { 0 };
		uint64_t bytes;

		if (look_at_node(service, nodes->names[i], &room, e) < 0) {
			if (e->code != ERR_NOT_FOUND)
				return -1;
			add_reason(&choice->reasons, nodes->names[i],
				   "has never reported: does the driver's pod run there?");
			continue;
		}
		if (fits(&room, choice->wanted, &choice->reasons, &bytes))
			memcpy(choice->node, room.name, sizeof(choice->node));
		node_room_done(&room);
	}
	return 0;
}

int cluster_choose(const struct csi_service *service, const struct place_nodes *nodes,
		   struct volume_record *wanted, struct err *e)
{
	struct choice choice = { .wanted = wanted };

	int rc = nodes->is_bound ? look_at_named(service, nodes, &choice, e)
				 : kube_list(service->kube, NODE_ROOM_RESOURCE, NULL, look_at_any,
					     &choice, e);
	if (rc < 0)
		return -1;
	if (!*choice.node)
		return err_set(e, ERR_RESOURCE_EXHAUSTED,
			       "no node has room for volume '%s' (%" PRIu64 " bytes in '%s'): %s",
			       wanted->id, wanted->capacity_bytes,
			       wanted->params.value[PARAM_LOCAL_PATH],
			       choice.reasons.count ? choice.reasons.text
						    : "no node runs the driver");
	memcpy(wanted->node, choice.node, sizeof(wanted->node));
	return 0;
}

struct sum {
	const struct place_nodes *nodes;
	const char *local_path;
	struct place_room room;
};

static void add_node(struct sum *sum, const struct node_room *room)
{
	uint64_t bytes =
		node_room_is_stale(room, time(NULL)) ? 0 : node_room_free(room, sum->local_path);

	sum->room.total += bytes;
	if (bytes > sum->room.largest)
		sum->room.largest = bytes;
}

static int sum_one(void *data, const json_t *object, struct err *e)
{
	struct node_room room;

	(void)e;
	node_room_parse(object, &room);
	add_node(data, &room);
	node_room_done(&room);
	return 0;
}

int cluster_room(const struct csi_service *service, const struct params *params,
		 const struct place_nodes *nodes, struct place_room *ret_room, struct err *e)
{
	struct sum sum = { .nodes = nodes, .local_path = params->value[PARAM_LOCAL_PATH] };

	if (!nodes->is_bound &&
	    kube_list(service->kube, NODE_ROOM_RESOURCE, NULL, sum_one, &sum, e) < 0)
		return -1;
	for (size_t i = 0; i < nodes->count; i++) {
		struct node_room room = { 0 };

		if (look_at_node(service, nodes->names[i], &room, e) == 0)
			add_node(&sum, &room);
		else if (e->code != ERR_NOT_FOUND)
			return -1;
		node_room_done(&room);
	}
	*ret_room = sum.room;
	return 0;
}

bool cluster_node_is_silent(const struct csi_service *service, const char *node,
			    struct condition *ret_condition)
{
	struct node_room room = { 0 };
	struct err e = { 0 };
	bool is_silent = true;
	char why[64];

	if (look_at_node(service, node, &room, &e) < 0) {
		condition_say(ret_condition, true, "%s",
			      e.code == ERR_NOT_FOUND ? "its node has never reported, or is gone"
						      : e.msg);
		return true;
	}
	if (node_room_is_stale(&room, time(NULL))) {
		say_since(&room, why, sizeof(why));
		condition_say(ret_condition, true, "node '%.100s', which has the data, %s", node,
			      why);
	} else {
		is_silent = false;
	}
	node_room_done(&room);
	return is_silent;
}

bool cluster_node_is_gone(const struct csi_service *service, const char *node)
{
	auto_free char *path = kube_path("/api/v1/nodes", node, NULL, NULL);
	struct err e = { 0 };

	return kube_get(service->kube, path, NULL, &e) < 0 && e.code == ERR_NOT_FOUND;
}

int cluster_user_of(const struct csi_service *service, const char *id,
		    char ret_node[NODE_NAME_SIZE], struct err *e)
{
	auto_json json_t *object = NULL;
	const char *node;
	json_t *value;

	*ret_node = '\0';
	if (store_kube_object(service->kube, id, &object, e) < 0)
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	json_t *nodes = json_object_get(json_object_get(object, "status"), "nodes");
	json_object_foreach(nodes, node, value)
	{
		if (!cluster_node_is_gone(service, node)) {
			snprintf(ret_node, NODE_NAME_SIZE, "%s", node);
			break;
		}
	}
	return 0;
}
