/* Deleting, for the parts of the local engine; the way from outside is local_delete(). */
#ifndef ENGINE_LOCAL_DELETE_H
#define ENGINE_LOCAL_DELETE_H

#include "engine/local_volume.h"

/*
 * Deletes an opened and locked volume that has this record. FAILED_PRECONDITION while it is in
 * use, and when the image is another volume's; nothing is changed then.
 */
int local_delete_opened(struct local_volume *volume, struct volume_record *record,
			struct err *e) MUST_CHECK;

/* Removes the record and the folder of a volume that has no image (any more). */
int local_folder_remove(struct local_volume *volume, struct err *e) MUST_CHECK;

#endif
