/*
 * The keyslots of a LUKS header. `path` is an image file or a device, also one that is open as a
 * mapping: keyslots lie before the data. Both copies of the header must be whole.
 */
#ifndef SYS_LUKS_KEYS_H
#define SYS_LUKS_KEYS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"
#include "sys/luks.h"

/* How many keyslots can open the volume. */
int luks_key_count(const char *path, unsigned *ret_count, struct err *e) MUST_CHECK;

/* The keyslot that this passphrase opens. PERMISSION_DENIED when it opens none. */
int luks_key_find(const char *path, const struct secret *passphrase, int *ret_slot,
		  struct err *e) MUST_CHECK;

/*
 * Adds a keyslot for `fresh`, where `existing` opens one. Only the PBKDF of params is used; a LUKS1
 * header gets its own. PERMISSION_DENIED when `existing` opens none.
 */
int luks_key_add(const char *path, const struct luks_params *params, const struct secret *existing,
		 const struct secret *fresh, int *ret_slot, struct err *e) MUST_CHECK;

/*
 * Destroys one keyslot: its key material first, so that a kill in between leaves one that nothing
 * opens. A keyslot of LUKS2 is marked before (priority "ignore"): no passphrase finds it any more.
 */
int luks_key_remove(const char *path, int slot, struct err *e) MUST_CHECK;

/* Whether the keyslot is there and has this mark. */
int luks_key_is_marked(const char *path, int slot, bool *ret_yes, struct err *e) MUST_CHECK;

#endif
