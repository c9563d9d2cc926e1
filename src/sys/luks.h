/*
 * LUKS through libcryptsetup, which is loaded by the worker that needs it and is only ever used
 * by one thread of one process. The library's own last log line becomes the error sentence.
 */
#ifndef SYS_LUKS_H
#define SYS_LUKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

#define LUKS_HEADER_BYTES (16u << 20) /* data offset of the LUKS2 volumes that we make */

struct luks_params {
	char cipher[32];      /* "aes-xts-plain64" */
	unsigned key_bits;    /* 512 */
	unsigned sector_size; /* 512 or 4096 */
	char pbkdf[16];	      /* "argon2id", "argon2i" or "pbkdf2" */
	unsigned memory_kib;  /* argon2 only */
	unsigned iterations;
	unsigned parallel; /* argon2 only */
};

struct luks_header {
	char uuid[40];
	int version; /* 1 or 2 */
	unsigned sector_size;
	uint64_t data_offset_bytes;
};

/* FAILED_PRECONDITION when libcryptsetup is missing or too old. */
int luks_is_usable(struct err *e) MUST_CHECK;

enum luks_probe { LUKS_ABSENT, LUKS_PRESENT };

/*
 * Reads the header of a device or image file. LUKS_ABSENT only when neither a primary nor a
 * secondary LUKS magic is there; a damaged header is FAILED_PRECONDITION saying what is wrong.
 * Writes nothing (libcryptsetup's auto-repair of a damaged LUKS2 copy must not run here).
 */
int luks_probe(const char *path, enum luks_probe *ret_probe, struct luks_header *ret_header,
	       struct err *e) MUST_CHECK;

/* Makes a LUKS2 header with this UUID and one keyslot, its PBKDF fixed, never benchmarked. */
int luks_format(const char *device, const char *uuid, const struct luks_params *params,
		const struct secret *passphrase, struct err *e) MUST_CHECK;

/*
 * Activates `name` on `device` (dm-crypt, volume key not in a keyring so that a later resize
 * needs no passphrase). FAILED_PRECONDITION with code text "passphrase does not open ..." comes
 * from the caller: here a wrong passphrase is PERMISSION_DENIED; `sys` of the error is ENOENT when
 * the header has no keyslot at all, as after a crash while it was made.
 */
int luks_open(const char *device, const char *name, bool allow_discards, bool read_only,
	      const struct secret *passphrase, struct err *e) MUST_CHECK;

/* Whether the passphrase opens the header of the file or device; nothing is activated. */
int luks_test(const char *path, const struct secret *passphrase, struct err *e) MUST_CHECK;

/* Removes the mapping; one that is not active is success. FAILED_PRECONDITION while in use. */
int luks_close(const char *name, struct err *e) MUST_CHECK;

/* Grows the active mapping to the size of its device. No passphrase is needed. */
int luks_resize(const char *name, struct err *e) MUST_CHECK;

#endif
