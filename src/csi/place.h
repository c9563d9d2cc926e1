/*
 * Where local volumes lie, as the controller sees it: on the disk of this node, or on those of a
 * cluster, whose agents do the work. Volumes in S3 have no place.
 */
#ifndef CSI_PLACE_H
#define CSI_PLACE_H

#include "csi/service.h"

/* The nodes on which a volume may lie, the most wanted first. Names are borrowed. */
struct place_nodes {
	bool is_bound; /* false: any node */
	const char **names;
	size_t count;
};

/* Bytes that new volumes can take. */
struct place_room {
	uint64_t total, largest; /* of all nodes, and of the one with most */
};

struct place {
	/* The record of a volume, wherever it is written down. NOT_FOUND when it is nowhere. */
	int (*find)(const struct csi_service *service, const char *id,
		    struct volume_record *ret_record, struct err *e);
	/*
	 * Ensures the volume and chooses its node; `known` is what the store has of it, or NULL.
	 * *ret_made is the volume that is there, whatever its size. RESOURCE_EXHAUSTED when no node
	 * that may have it has room, and then nothing stays behind; DEADLINE_EXCEEDED and ABORTED
	 * say that the next call goes on.
	 */
	int (*create)(const struct csi_service *service, const struct place_nodes *nodes,
		      const struct volume_record *known, const struct volume_record *wanted,
		      int64_t deadline_ms, struct volume_record *ret_made, struct err *e);
	/* Destroys the data and forgets the volume. */
	int (*remove)(const struct csi_service *service, struct volume_record *record,
		      int64_t deadline_ms, struct err *e);
	/* Lets the image grow. RESOURCE_EXHAUSTED leaves the volume as it was. */
	int (*grow)(const struct csi_service *service, const struct volume_record *record,
		    uint64_t bytes, int64_t deadline_ms, struct volume_record *ret_grown,
		    struct err *e);
	/* What volumes with these parameters can take, on these nodes. */
	int (*room)(const struct csi_service *service, const struct params *params,
		    const struct place_nodes *nodes, struct place_room *ret_room, struct err *e);
	/* Of a volume of any backend. Never fails: what is wrong is the answer. */
	void (*condition)(const struct csi_service *service, const struct volume_record *record,
			  struct condition *ret_condition);
};

extern const struct place place_here;	 /* this node's disk; records in a directory */
extern const struct place place_cluster; /* LUKSVolumes and LUKSNodes; needs service->kube */

bool place_allows(const struct place_nodes *nodes, const char *node);

/*
 * Chooses the first of the nodes (any: the one with most) that reports and has room, and makes it
 * wanted->node. RESOURCE_EXHAUSTED says of the nodes why not.
 */
int cluster_choose(const struct csi_service *service, const struct place_nodes *nodes,
		   struct volume_record *wanted, struct err *e) MUST_CHECK;

/* place_cluster.room */
int cluster_room(const struct csi_service *service, const struct params *params,
		 const struct place_nodes *nodes, struct place_room *ret_room,
		 struct err *e) MUST_CHECK;

/* Whether a node reports nothing (any more); then the condition says since when. */
bool cluster_node_is_silent(const struct csi_service *service, const char *node,
			    struct condition *ret_condition);

/* Whether Kubernetes knows no node of that name (any more); false when it cannot be asked. */
bool cluster_node_is_gone(const struct csi_service *service, const char *node);

/*
 * One of the nodes that have a volume in S3 staged, "" when none has. One that left the cluster
 * cannot write any more, and does not count.
 */
int cluster_user_of(const struct csi_service *service, const char *id,
		    char ret_node[NODE_NAME_SIZE], struct err *e) MUST_CHECK;

#endif
