/*
 * Another volume key: LUKS2 reencryption. The data are rewritten piece by piece; what is done is
 * in the header, so that it goes on after a kill or a power cut where it was. Meanwhile the volume
 * opens with the same passphrase as before.
 */
#ifndef SYS_LUKS_REENCRYPT_H
#define SYS_LUKS_REENCRYPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "sys/luks.h"

/* Whether the header says that a reencryption is under way. */
int luks_is_reencrypting(const char *path, bool *ret_yes, struct err *e) MUST_CHECK;

/* No more than so much is rewritten between two calls of `progress`. */
#define LUKS_REENCRYPT_PIECE (8u << 20)

/*
 * Called before the first piece, after each, and at the end; true to stop there. May wait, to leave
 * the disk to others. After a piece that one is not yet counted in done_bytes.
 */
typedef bool luks_reencrypt_progress(uint64_t done_bytes, uint64_t total_bytes, void *data);

struct luks_reencrypt {
	const char *path; /* the image of a volume that is closed */
	const struct secret *passphrase;
	const struct luks_params *params; /* cipher and key size stay; of the keyslot: the PBKDF */
	luks_reencrypt_progress *progress;
	void *data;
};

/*
 * Writes down a new volume key and that the reencryption begins; no data yet. One that is under way
 * is success. PERMISSION_DENIED when the passphrase opens no keyslot; FAILED_PRECONDITION when
 * there is more than one keyslot, because the others would be lost, and for LUKS1.
 */
int luks_reencrypt_begin(const struct luks_reencrypt *job, struct err *e) MUST_CHECK;

/*
 * Goes on to the end, or until `progress` stops it: *ret_complete tells which. A piece that was
 * interrupted is recovered first. At the end the old key and its keyslot are destroyed.
 */
int luks_reencrypt_run(const struct luks_reencrypt *job, bool *ret_complete,
		       struct err *e) MUST_CHECK;

#endif
