/*
 * Local volumes of this node as a whole: the data, the record beside them and the store's mirror
 * of it. What the controller's calls do on a single node, and the agent for a cluster. The caller
 * holds the volume's lock.
 */
#ifndef CSI_LOCAL_H
#define CSI_LOCAL_H

#include "csi/service.h"

/*
 * The record of a volume: the store's, or, where the store has lost it, the one beside the data in
 * `local_path` (may be NULL), the default folder, those of --allow-path or those of other volumes.
 * NOT_FOUND when it is nowhere; FAILED_PRECONDITION when an image without a record is.
 */
int csi_find_volume(const struct csi_service *service, const char *id, const char *local_path,
		    struct volume_record *ret_record, struct err *e) MUST_CHECK;

/*
 * Ensures the volume `wanted` (whose node is this one) and its record in the store; an earlier
 * volume of that name which is being deleted is deleted first. ALREADY_EXISTS names what differs
 * from a volume that exists (not its size); RESOURCE_EXHAUSTED leaves nothing behind.
 */
int csi_create_local(const struct csi_service *service, const struct volume_record *wanted,
		     struct volume_record *ret_made, struct err *e) MUST_CHECK;

/*
 * Destroys the data of a local volume and its folder; the store remembers that (ERASED).
 * FAILED_PRECONDITION while it is in use, or while the data of a volume that was used cannot be
 * found.
 */
int csi_erase_local(const struct csi_service *service, struct volume_record *record,
		    struct err *e) MUST_CHECK;

/* csi_erase_local(), and then the store forgets the volume. */
int csi_delete_local(const struct csi_service *service, struct volume_record *record,
		     struct err *e) MUST_CHECK;

/* Lets the image grow and records it; *ret_grown is what is true afterwards. */
int csi_grow_local(const struct csi_service *service, const struct volume_record *record,
		   uint64_t bytes, struct volume_record *ret_grown, struct err *e) MUST_CHECK;

/*
 * The store mirrors the record beside the data; it is written when `known` (what the store has)
 * differs from `now`. Must succeed where the state differs: that a volume was formatted is known
 * in two places. Otherwise the record beside the data is enough, and a failure is a warning.
 */
int csi_mirror_record(const struct csi_service *service, const struct volume_record *known,
		      const struct volume_record *now, struct err *e) MUST_CHECK;

/* NULL, or what of a volume that exists is not as it is wanted: "name", "volumeMode", a parameter.
 */
const char *csi_difference(const struct volume_record *existing,
			   const struct volume_record *wanted);

#endif
