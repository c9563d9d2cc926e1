/*
 * Changing the passphrase of a volume: the new one gets a keyslot, which is tried, before the old
 * one's is removed. Killed anywhere in between, the volume opens with one of the two, and the next
 * call goes on. The record says that a change is under way (key_changing), so that a header whose
 * two copies a kill left different is known to be our own work and is mended.
 */
#ifndef ENGINE_LOCAL_ROTATE_H
#define ENGINE_LOCAL_ROTATE_H

#include "engine/local_volume.h"

/*
 * What a stage does before it opens a volume: completes an interrupted change, and changes the
 * passphrase where the Secret holds a `previous` one (else NULL) that still opens the header.
 * *opens is the passphrase of the Secret, and becomes the one that opens the header: a change that
 * fails, on a full disk for one, is no reason to fail a stage. FAILED_PRECONDITION when neither
 * opens it. With nothing to do it costs nothing without `previous`, and one key derivation with it.
 */
int local_rotate_at_stage(const struct node *node, const struct local_volume *volume,
			  struct volume_record *record, int image_fd, const struct secret *previous,
			  const struct secret **opens, struct err *e) MUST_CHECK;

/*
 * Finishes an update of the header that a kill left half done, where the record says that we were
 * changing it. A header that is damaged otherwise is left as it is: that is no error here.
 */
int local_header_mend(const struct local_volume *volume, struct volume_record *record, int image_fd,
		      struct err *e) MUST_CHECK;

#endif
