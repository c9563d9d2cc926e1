/* Requests into the house's own structures. */
#include "csi/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"

enum { MAP_LIMIT = 128 };

int request_pairs(void *const entries[], size_t count, struct text_pair **ret_pairs,
		  size_t *ret_count, struct err *e)
{
	size_t kept = 0;

	if (count > MAP_LIMIT)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "a map of the request has more than %d entries", MAP_LIMIT);
	struct text_pair *pairs = xcalloc(count, sizeof(*pairs));
	for (size_t i = 0; i < count; i++) {
		const struct map_entry *entry = entries[i];
		size_t at = 0;

		while (at < kept && strcmp(pairs[at].key, entry->key) != 0)
			at++;
		pairs[at] = (struct text_pair){ entry->key, entry->value };
		if (at == kept)
			kept++;
	}
	*ret_pairs = pairs;
	*ret_count = kept;
	return 0;
}

const char *request_map_value(void *const entries[], size_t count, const char *key)
{
	while (count-- > 0) {
		const struct map_entry *entry = entries[count];

		if (strcmp(entry->key, key) == 0)
			return entry->value;
	}
	return NULL;
}

static int mount_part(const Csi__V1__VolumeCapability__MountVolume *mount,
		      struct capability *capability, struct err *e)
{
	uint64_t group;

	capability->fs_type = mount->fs_type;
	capability->flags = (const char *const *)mount->mount_flags;
	capability->flag_count = mount->n_mount_flags;
	if (!*mount->volume_mount_group)
		return 0;
	if (!parse_uint(mount->volume_mount_group, UINT32_MAX - 1, &group))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "volume_mount_group is not a numeric group id");
	capability->has_group = true;
	capability->group = (uint32_t)group;
	return 0;
}

int request_capability(const Csi__V1__VolumeCapability *message, enum backend backend,
		       struct capability *ret_capability, struct err *e)
{
	struct capability capability = { .fs_type = "" };

	if (!message)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume capability is missing");
	switch (message->access_type_case) {
	case CSI__V1__VOLUME_CAPABILITY__ACCESS_TYPE_BLOCK:
		capability.block = true;
		break;
	case CSI__V1__VOLUME_CAPABILITY__ACCESS_TYPE_MOUNT:
		if (mount_part(message->mount, &capability, e) < 0)
			return -1;
		break;
	default:
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "volume capability says neither 'block' nor 'mount'");
	}
	if (message->access_mode)
		capability.mode = (enum access_mode)message->access_mode->mode;
	if (backend == BACKEND_S3)
		capability.fs_type = ""; /* a sidecar's default means nothing there */
	if (capability_check(&capability, backend, e) < 0)
		return -1;
	*ret_capability = capability;
	return 0;
}

int request_capability_of_node(const Csi__V1__VolumeCapability *message, enum backend backend,
			       struct capability *ret_capability, struct err *e)
{
	if (request_capability(message, backend, ret_capability, e) == 0)
		return 0;
	if (message && message->access_mode &&
	    !capability_mode_fits((enum access_mode)message->access_mode->mode, backend) &&
	    capability_mode_is_of_nodes((enum access_mode)message->access_mode->mode))
		e->code = ERR_FAILED_PRECONDITION;
	return -1;
}

const char *request_node(const Csi__V1__Topology *topology)
{
	for (size_t i = 0; i < topology->n_segments; i++)
		if (strcmp(topology->segments[i]->key, TOPOLOGY_KEY) == 0)
			return topology->segments[i]->value;
	return NULL;
}

static void add_nodes(Csi__V1__Topology *const topologies[], size_t count,
		      struct place_nodes *nodes)
{
	for (size_t i = 0; i < count; i++) {
		const char *name = request_node(topologies[i]);
		bool is_new = name;

		for (size_t at = 0; name && at < nodes->count; at++)
			is_new &= strcmp(nodes->names[at], name) != 0;
		if (is_new)
			nodes->names[nodes->count++] = name;
	}
}

/* What is preferred must be among what is possible, where that is said. */
static void keep_possible(const Csi__V1__TopologyRequirement *requirement,
			  struct place_nodes *nodes)
{
	size_t kept = 0;

	for (size_t at = 0; at < nodes->count; at++) {
		bool possible = false;

		for (size_t i = 0; i < requirement->n_requisite && !possible; i++) {
			const char *name = request_node(requirement->requisite[i]);

			possible = name && strcmp(name, nodes->names[at]) == 0;
		}
		if (possible)
			nodes->names[kept++] = nodes->names[at];
	}
	nodes->count = kept;
}

void request_nodes(const Csi__V1__TopologyRequirement *requirement, struct place_nodes *ret_nodes)
{
	size_t count = requirement ? requirement->n_preferred + requirement->n_requisite : 0;

	*ret_nodes = (struct place_nodes){ .is_bound = count,
					   .names = xcalloc(count + 1, sizeof(char *)) };
	if (!count)
		return;
	add_nodes(requirement->preferred, requirement->n_preferred, ret_nodes);
	if (requirement->n_requisite)
		keep_possible(requirement, ret_nodes);
	add_nodes(requirement->requisite, requirement->n_requisite, ret_nodes);
}
