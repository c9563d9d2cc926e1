/*
 * The format permit at work: the only callers of luks_format() and fs_make(). A volume is
 * formatted once in its life, and every uncertain probe is an error.
 */
#ifndef ENGINE_LOCAL_FORMAT_H
#define ENGINE_LOCAL_FORMAT_H

#include "engine/local_mapping.h"
#include "engine/local_volume.h"
#include "sys/loop.h"

/* What is to be done with the LUKS header of an image. */
enum header_plan {
	HEADER_OPEN, /* FORMATTED: it is whole and ours */
	HEADER_MAKE, /* the image is blank, or holds no more than a header that we left half made */
	HEADER_COMPLETE, /* FORMATTING, and a whole header is there: kept if it has a keyslot */
};

/*
 * Before anything is opened: what the permit and the bytes of the image allow. Reads only.
 * FAILED_PRECONDITION says what was found instead. Whatever the record says, an image with data
 * behind its header is never formatted: a record may have been restored from an old backup.
 */
int local_format_check(const struct local_volume *volume, const struct volume_record *record,
		       int image_fd, enum header_plan *ret_plan, struct err *e) MUST_CHECK;

/*
 * Whether the header demands nothing that we do not do (sys/luks_requirements.h). Reads only.
 * Before anything is changed in the header, or opened.
 */
int local_check_requirements(const struct local_volume *volume, const struct volume_record *record,
			     int image_fd, struct err *e) MUST_CHECK;

/*
 * Opens LUKS on the loop device as the volume's mapping. Where the plan says so the header is
 * made before, after the permit with fresh UUIDs was written. Waits for a place for key
 * derivation, and holds it no longer than that takes. FAILED_PRECONDITION when the passphrase
 * does not open it.
 */
int local_format_open(const struct node *node, const struct local_volume *volume,
		      struct volume_record *record, const struct loop *loop, int image_fd,
		      enum header_plan plan, const struct secret *passphrase,
		      struct err *e) MUST_CHECK;

/*
 * After the mapping is open. In FORMATTING: makes the file system (not for a raw block volume),
 * unless it is there and whole, and writes FORMATTED. In FORMATTED: the file system must be there
 * and of the recorded type, and is checked; anything else is FAILED_PRECONDITION.
 */
int local_format_fs(const struct local_volume *volume, struct volume_record *record,
		    const struct dm_info *mapping, int image_fd, struct err *e) MUST_CHECK;

/*
 * The record that an image with a LUKS header and no volume.json should have: a volume of the Go
 * driver. Reads only; whether the passphrase opens it is for the caller to see before he writes
 * the record. FAILED_PRECONDITION when there is no whole header.
 */
int local_adopt(const struct node *node, const struct local_volume *volume,
		const struct stage_request *request, struct volume_record *ret_record,
		struct err *e) MUST_CHECK;

/* Takes the type of the file system on the open mapping into the record of an adopted volume. */
int local_format_learn(const struct local_volume *volume, struct volume_record *record,
		       const struct dm_info *mapping, struct err *e) MUST_CHECK;

/* Whether the passphrase opens the image. FAILED_PRECONDITION when not. Opens nothing. */
int local_adopt_try(const struct node *node, const struct local_volume *volume,
		    const struct secret *passphrase, struct err *e) MUST_CHECK;

/* PERMISSION_DENIED of the LUKS layer into the sentence for the user; keeps other errors. -1. */
int local_passphrase_error(const char *id, struct err *e);

/* Waits for one of the few places for memory-hard key derivation on this node. */
int local_kdf_slot(const struct node *node, int *ret_fd, struct err *e) MUST_CHECK;

#endif
