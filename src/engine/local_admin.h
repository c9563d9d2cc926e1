/*
 * What a person does with a local volume by hand: `lcw`. Each call takes the volume's folder lock;
 * the caller holds the volume's lock in the run folder.
 */
#ifndef ENGINE_LOCAL_ADMIN_H
#define ENGINE_LOCAL_ADMIN_H

#include "base/finding.h"
#include "engine/local.h"
#include "sys/luks_reencrypt.h"

enum local_restored {
	LOCAL_RESTORED_NOTHING, /* the header is whole and the passphrase opens it */
	LOCAL_RESTORED_COPY,	/* one copy of the LUKS2 header, from the other one */
	LOCAL_RESTORED_BACKUP,	/* header and keyslots, from the backup */
};

/*
 * Brings back a damaged LUKS header, from its second copy where that is intact, else from the
 * backup. Nothing is written before the passphrase has opened what is to be restored.
 * FAILED_PRECONDITION while the volume is open, when the image or the backup has another LUKS UUID
 * than the record, and when the passphrase does not open it.
 */
int local_restore_header(const struct node *node, const char *local_path, const char *id,
			 const struct secret *passphrase, enum local_restored *ret_restored,
			 struct err *e) MUST_CHECK;

enum local_unlock {
	LOCAL_UNLOCK_OPENS,
	LOCAL_UNLOCK_DENIED, /* by a whole header: the passphrase is another one */
	LOCAL_UNLOCK_BROKEN, /* the error says why it cannot be tried */
};

struct local_unlock_result {
	enum local_unlock volume, backup;
	struct err volume_error, backup_error; /* of LOCAL_UNLOCK_BROKEN, else empty */
};

/* Whether the passphrase opens the header of the image, and its backup. Opens and writes nothing.
 */
int local_unlock_test(const struct node *node, const char *local_path, const char *id,
		      const struct secret *passphrase, struct local_unlock_result *ret_result,
		      struct err *e) MUST_CHECK;

/*
 * Looks at record, image, header, keyslots, backup, mapping and folder; `known` is the store's
 * record, or NULL. Reads only. What is wrong is a finding, not an error.
 */
int local_check(const struct node *node, const char *local_path, const char *id,
		const struct volume_record *known, struct findings *ret_findings,
		struct err *e) MUST_CHECK;

/*
 * Changes the passphrase from `previous` to `wanted`, open or closed; also completes a change that
 * was interrupted. The new keyslot is tried before the old one is removed. FAILED_PRECONDITION when
 * neither opens the volume; INVALID_ARGUMENT when they are the same.
 */
int local_rotate_key(const struct node *node, const char *local_path, const char *id,
		     const struct secret *previous, const struct secret *wanted,
		     struct volume_record *ret_record, struct err *e) MUST_CHECK;

/*
 * Replaces the volume key, with which the data themselves are encrypted, by LUKS2 reencryption; the
 * passphrase stays. First writes down that it begins (or goes on: *ret_record is the record then);
 * FAILED_PRECONDITION while the volume is open, when the passphrase does not open it, and when
 * others do, too.
 */
int local_reencrypt_begin(const struct node *node, const char *local_path, const char *id,
			  const struct secret *passphrase, struct volume_record *ret_record,
			  struct err *e) MUST_CHECK;

/*
 * Then goes on to the end, or until `progress` stops it (*ret_complete false). Killed at any moment
 * the next call goes on. Until it is complete the volume is not staged and does not grow.
 */
int local_reencrypt_run(const struct node *node, const char *local_path, const char *id,
			const struct secret *passphrase, luks_reencrypt_progress *progress,
			void *data, bool *ret_complete, struct volume_record *ret_record,
			struct err *e) MUST_CHECK;

/* Makes the backup of the header anew. FAILED_PRECONDITION when the header is not whole. */
int local_backup_header(const struct node *node, const char *local_path, const char *id,
			struct err *e) MUST_CHECK;

#endif
