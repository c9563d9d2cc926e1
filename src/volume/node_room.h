/*
 * LUKSNode: what a node of the cluster can hold, as it says itself. The controller chooses nodes by
 * it, and by its age knows a node that is silent. Pure.
 */
#ifndef VOLUME_NODE_ROOM_H
#define VOLUME_NODE_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/json.h"
#include "volume/record.h"

#define LUKSNODES "/apis/lukscryptwalker.csi.k8s.io/v1alpha1/luksnodes"

/* A node that has reported nothing for so long cannot be asked to do anything. */
#define NODE_SILENT_S 300

struct node_fs {
	char *mount_point; /* as the host sees it; owned */
	char type[24];
	uint64_t capacity_bytes, free_bytes;
};

struct node_room {
	char node[NODE_NAME_SIZE];
	char version[32];   /* of the driver */
	char heartbeat[32]; /* RFC 3339, UTC; "": never */
	char **allowed;	    /* paths; owned */
	size_t allowed_count;
	struct node_fs *fs; /* owned */
	size_t fs_count;
	char **unknown; /* ids of images that nobody knows; owned */
	size_t unknown_count;
	size_t volumes;
};

void node_room_done(struct node_room *room);
#define auto_node_room __attribute__((cleanup(node_room_done)))

/* Texts are copied. */
void node_room_add_fs(struct node_room *room, const char *mount_point, const char *type,
		      uint64_t capacity_bytes, uint64_t free_bytes);
void node_room_allow(struct node_room *room, const char *path);
void node_room_add_unknown(struct node_room *room, const char *id);

/* The status of the LUKSNode. `before` (may be NULL) is the status that it has now. */
json_t *node_room_status(const struct node_room *room, const json_t *before);

/* Reads a LUKSNode; what is missing or not understood counts as nothing. Release it. */
void node_room_parse(const json_t *object, struct node_room *ret_room);

/* Bytes that a new volume in local_path can take; 0 where none may lie. */
uint64_t node_room_free(const struct node_room *room, const char *local_path);

/* The same of a file system: headers of the volume deducted, in whole blocks. */
uint64_t node_room_of(uint64_t free_bytes);

bool node_room_is_stale(const struct node_room *room, time_t now);

#endif
