/*
 * The format permit at work: the only callers of luks_format() and fs_make(). A volume is
 * formatted once in its life, and every uncertain probe is an error.
 */
#ifndef ENGINE_LOCAL_FORMAT_H
#define ENGINE_LOCAL_FORMAT_H

#include "engine/local_mapping.h"
#include "engine/local_volume.h"
#include "sys/loop.h"

/*
 * Before anything is opened: may this image be opened (FORMATTED: its LUKS header is whole and
 * has the recorded UUID) or formatted (RESERVED: it is blank; FORMATTING: it holds nothing or
 * what we left there)? Reads only. FAILED_PRECONDITION says what was found instead.
 */
int local_format_check(const struct local_volume *volume, const struct volume_record *record,
		       int image_fd, struct err *e) MUST_CHECK;

/*
 * In RESERVED and FORMATTING: writes the permit with fresh UUIDs, then the LUKS header. In
 * FORMATTED: nothing.
 */
int local_format_luks(const struct local_volume *volume, struct volume_record *record,
		      const struct loop *loop, const struct secret *passphrase,
		      struct err *e) MUST_CHECK;

/*
 * After the mapping is open. In FORMATTING: makes the file system (not for a raw block volume)
 * and writes FORMATTED. In FORMATTED: the file system must be there and of the recorded type, and
 * is checked; anything else is FAILED_PRECONDITION.
 */
int local_format_fs(const struct local_volume *volume, struct volume_record *record,
		    const struct dm_info *mapping, struct err *e) MUST_CHECK;

/*
 * Makes a record for a volume of the Go driver: an image with a LUKS header and no volume.json.
 * The passphrase must open it; nothing but the record is written. FAILED_PRECONDITION otherwise.
 */
int local_adopt(const struct node *node, const struct local_volume *volume,
		const struct stage_request *request, struct volume_record *ret_record,
		struct err *e) MUST_CHECK;

/* PERMISSION_DENIED of the LUKS layer into the sentence for the user; keeps other errors. -1. */
int local_passphrase_error(const char *id, struct err *e);

/* Waits for one of the few places for memory-hard key derivation on this node. */
int local_kdf_slot(const struct node *node, int *ret_fd, struct err *e) MUST_CHECK;

#endif
