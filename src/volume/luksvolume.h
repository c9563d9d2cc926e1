/*
 * LUKSVolume: a volume as the cluster sees it. Its spec says what CreateVolume wants, and only the
 * controller writes it; its status says what the node that has the data found or made. Pure.
 *
 * The rules of the fields stand in the CRD (charts/lukscryptwalker-csi/crds/luksvolumes.yaml), the
 * life of an object in docs/kubernetes-objects.md.
 */
#ifndef VOLUME_LUKSVOLUME_H
#define VOLUME_LUKSVOLUME_H

#include "base/json.h"
#include "volume/record.h"

#define KUBE_GROUP "lukscryptwalker.csi.k8s.io"
#define LUKSVOLUMES "/apis/" KUBE_GROUP "/v1alpha1/luksvolumes"

/* While it is there the object stays: the data are not gone yet. */
#define LUKSVOLUME_FINALIZER KUBE_GROUP "/data"

/* What the node says of the last thing that it was to do. */
enum luksvolume_phase {
	LUKSVOLUME_PENDING, /* it has said nothing yet */
	LUKSVOLUME_READY,
	LUKSVOLUME_EXHAUSTED, /* no room: nothing was made */
	LUKSVOLUME_FAILED,    /* `why` says what is to be mended; it tries again */
};

struct luksvolume {
	struct volume_record record; /* capacity: what there is, or what is wanted of a new one */
	uint64_t wanted_bytes;	     /* of the spec */
	char uid[64], version[64];   /* of the object, and of what it says */
	int64_t generation;	     /* of the spec */
	bool is_going;		     /* somebody has deleted the object */
	bool may_destroy;	     /* DeleteVolume did: the data go, too */
	bool has_finalizer;
	enum luksvolume_phase phase;
	int64_t observed; /* the generation that `phase` and `why` speak of */
	struct err why;	  /* code ERR_OK: no trouble */
	bool is_abnormal; /* the condition */
	char condition[256];
};

const char *luksvolume_phase_name(enum luksvolume_phase phase);

/* The name of the object of a volume: its id where that can be a name in Kubernetes, else a hash.
 */
#define LUKSVOLUME_NAME_SIZE 160
void luksvolume_name(const char *id, char ret_name[LUKSVOLUME_NAME_SIZE]);

/* A new object without status. Never NULL; release with json_decref(). */
json_t *luksvolume_object(const struct volume_record *record);

/* A size as Kubernetes writes it: "10Gi"; digits alone where no unit fits. */
#define QUANTITY_SIZE 24
void quantity_format(uint64_t bytes, char ret_text[QUANTITY_SIZE]);

/*
 * Reads an object. Its record's state is that of the status; a volume whose node has said nothing
 * is CREATING (in S3, where nobody needs to: RESERVED), and one that is going by DeleteVolume is
 * DELETING at least; one that somebody deleted by hand is what it was. The record's node is the
 * one that has the data; of an S3 volume one that has it staged. FAILED_PRECONDITION names the
 * field that is not valid. Release the record.
 */
int luksvolume_parse(const json_t *object, struct luksvolume *ret_volume, struct err *e) MUST_CHECK;

/* Whether it is a local volume whose data are, or are to be, on this node. */
bool luksvolume_is_on(const struct luksvolume *volume, const char *node);

/*
 * Whether the node that has the data is to do something: make it, let it grow, destroy it, let the
 * object go that was deleted by hand, or try again what failed.
 */
bool luksvolume_is_waiting(const struct luksvolume *volume);

/*
 * Whether the node has answered that it has no room for what is wanted now. The controller takes
 * that back; until then the answer stands.
 */
bool luksvolume_is_exhausted(const struct luksvolume *volume);

/* What a node has to say of a volume. */
struct luksvolume_report {
	const struct volume_record *record; /* NULL: there is nothing on the node, `why` says it */
	const char *node;
	const struct err *why; /* of the last thing it was to do; NULL: it went well */
	int64_t generation;    /* that this was done for; 0: not for one */
	bool is_abnormal;
	const char *condition;
	bool has_queue; /* of an S3 volume that is mounted here */
	uint64_t queued_files, queued_bytes;
};

/*
 * The report as a merge patch of the object's status subresource. `object` is what the cluster has
 * now: the time of a condition that stays as it is, stays. NULL when nothing would change, and for
 * an S3 volume that another node has and this one has not.
 */
json_t *luksvolume_report_patch(const json_t *object, const struct luksvolume_report *report);

/*
 * The condition Healthy of an object, or of a patch: "True", "False", "Unknown" or NULL, and its
 * sentence. Borrowed.
 */
const char *luksvolume_healthy(const json_t *object);
const char *luksvolume_healthy_message(const json_t *object);

/*
 * The condition of a volume whose node says nothing any more, as a merge patch of the status that
 * is refused when somebody has changed the object meanwhile. NULL when it says so already, or is
 * not made yet.
 */
json_t *luksvolume_silence_patch(const json_t *object, const char *node);

#endif
