/*
 * The backup of a volume's LUKS header, {local-path}/{volumeID}/luks-header.backup, beside the
 * image. It is never a reason to fail: a volume that can be used is used, and what is wrong with
 * its backup is logged and tried again at the next stage.
 */
#ifndef ENGINE_LOCAL_BACKUP_H
#define ENGINE_LOCAL_BACKUP_H

#include "engine/local_volume.h"

/*
 * Makes the backup where it is missing, and anew where it is of another UUID, damaged or older than
 * the header, with a warning. To be called when the passphrase has opened the header or the mapping
 * is open; a header that is damaged, or not the record's, leaves the backup as it is.
 */
void local_backup_ensure(const struct local_volume *volume, const struct volume_record *record);

/* Makes it anew, without a look at the one that is there, which stays where that fails. */
void local_backup_replace(const struct local_volume *volume, const struct volume_record *record);

/*
 * The same when the old one must not outlive this, because it opens with what was taken away from
 * the header: where no new one can be made (a full disk) there is none until the next stage. That
 * the header itself is damaged is the exception: then the old one may be all that is left.
 */
void local_backup_supersede(const struct local_volume *volume, const struct volume_record *record);

/* Whether the image has the whole LUKS header that the record speaks of. FAILED_PRECONDITION. */
int local_header_check(const struct local_volume *volume, const struct volume_record *record,
		       int image_fd, struct err *e) MUST_CHECK;

/* After a key was made or changed: makes it anew, and sets the record's time of the change. */
void local_backup_renew(const struct local_volume *volume, struct volume_record *record);

#endif
