/*
 * What a node can still hold, as the custom resource LUKSNode says it (docs/kubernetes-objects.md).
 * Pure: JSON in, JSON out.
 */
#ifndef VOLUME_NODE_ROOM_H
#define VOLUME_NODE_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/json.h"
#include "volume/record.h"

#define NODE_ROOM_RESOURCE "/apis/lukscryptwalker.csi.k8s.io/v1alpha1/luksnodes"
#define NODE_ROOM_API "lukscryptwalker.csi.k8s.io/v1alpha1"
#define NODE_ROOM_KIND "LUKSNode"

/* The limits of the schema; what is more is left out. */
#define NODE_ROOM_FILESYSTEMS_MAX 64
#define NODE_ROOM_UNKNOWN_MAX 50

/* A node that has not reported for longer than this is not to be given a volume. */
#define NODE_ROOM_STALE_SECONDS (5 * 60)

struct node_filesystem {
	char *mount_point; /* as the host sees it */
	char *type;
	uint64_t capacity_bytes;
	uint64_t free_bytes; /* as statvfs(3) says to users; see node_room_free() */
};

/* A growing list; the texts are copied. */
struct node_texts {
	char **all;
	size_t count;
};

void node_texts_add(struct node_texts *texts, const char *text);
void node_texts_done(struct node_texts *texts);

/* Everything is owned. An all-zero room is empty and may be released. */
struct node_room {
	char name[NODE_NAME_SIZE];
	char driver_version[32];
	time_t heartbeat;	   /* 0: never */
	struct node_texts allowed; /* paths; none: everywhere */
	struct node_filesystem *filesystems;
	size_t filesystem_count;
	uint64_t volumes;
	struct node_texts unknown; /* folders of images that no record speaks of */
};

void node_room_done(struct node_room *room);
#define auto_node_room __attribute__((cleanup(node_room_done)))

/* Copy their texts; one over the limit is left out. */
void node_room_add_filesystem(struct node_room *room, const struct node_filesystem *filesystem);
void node_room_add_allowed(struct node_room *room, const char *path);
void node_room_add_unknown(struct node_room *room, const char *path);

/*
 * The `status` of the LUKSNode, with the condition Ready=True: its lastTransitionTime is that of
 * `before` (the LUKSNode as it was; may be NULL) where it was True already, else the heartbeat.
 * Owned by the caller. Never NULL.
 */
json_t *node_room_status(const struct node_room *room, const json_t *before);

/*
 * The LUKSNode `object`, of which nobody has heard for long, with the condition Ready=Unknown, for
 * an apply of its status that is refused when somebody has changed the object meanwhile. NULL when
 * it is not Ready. Owned by the caller.
 */
json_t *node_room_silence(const json_t *object);

/* Reads a LUKSNode. What is missing, or of another type, counts as nothing. */
void node_room_parse(const json_t *object, struct node_room *ret_room);

/* What a new volume can take of a file system with so many free bytes: headers are deducted. */
uint64_t node_room_of_free(uint64_t free_bytes);

/*
 * What a new volume can take in local_path: of the file system that is mounted nearest above it.
 * 0 outside of the allowed paths, and where no file system is known.
 */
uint64_t node_room_free(const struct node_room *room, const char *local_path);

/* The most that a new volume can take anywhere on the node. */
uint64_t node_room_largest(const struct node_room *room);

bool node_room_is_stale(const struct node_room *room, time_t now);

#endif
