/* Local volumes on the disk of the node that this process runs on. */
#include <stdio.h>
#include <string.h>

#include "csi/local.h"
#include "csi/place.h"
#include "engine/condition.h"

static int find(const struct csi_service *service, const char *id, struct volume_record *ret_record,
		struct err *e)
{
	return csi_find_volume(service, id, NULL, ret_record, e);
}

static int create(const struct csi_service *service, const struct place_nodes *nodes,
		  const struct volume_record *known, const struct volume_record *wanted,
		  int64_t deadline_ms, struct volume_record *ret_made, struct err *e)
{
	auto_record struct volume_record placed = { 0 };

	(void)known;
	(void)deadline_ms;
	if (!place_allows(nodes, service->node.id))
		return err_set(e, ERR_RESOURCE_EXHAUSTED,
			       "the volume must lie on another node, and this controller serves "
			       "node '%s' only",
			       service->node.id);
	volume_record_copy(wanted, &placed);
	snprintf(placed.node, sizeof(placed.node), "%s", service->node.id);
	return csi_create_local(service, &placed, ret_made, e);
}

static int take_away(const struct csi_service *service, struct volume_record *record,
		     int64_t deadline_ms, struct err *e)
{
	(void)deadline_ms;
	return csi_delete_local(service, record, e);
}

static int grow(const struct csi_service *service, const struct volume_record *record,
		uint64_t bytes, int64_t deadline_ms, struct volume_record *ret_grown, struct err *e)
{
	(void)deadline_ms;
	return csi_grow_local(service, record, bytes, ret_grown, e);
}

static int room(const struct csi_service *service, const struct params *params,
		const struct place_nodes *nodes, struct place_room *ret_room, struct err *e)
{
	const char *local_path = params->value[PARAM_LOCAL_PATH];
	struct err ignored;

	*ret_room = (struct place_room){ 0 };
	/* A class that may not lie on this node has no room here. */
	if (!place_allows(nodes, service->node.id) ||
	    local_path_check(&service->node, local_path, NULL, &ignored) < 0)
		return 0;
	if (local_free_bytes(&service->node, local_path, &ret_room->total, e) < 0)
		return e->code == ERR_RESOURCE_EXHAUSTED ? 0 : -1;
	ret_room->largest = ret_room->total;
	return 0;
}

static void condition(const struct csi_service *service, const struct volume_record *record,
		      struct condition *ret_condition)
{
	condition_look(&service->node, record, ret_condition);
}

const struct place place_here = {
	.find = find,
	.create = create,
	.remove = take_away,
	.grow = grow,
	.room = room,
	.condition = condition,
};

bool place_allows(const struct place_nodes *nodes, const char *node)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (strcmp(nodes->names[i], node) == 0)
			return true;
	return !nodes->is_bound;
}
