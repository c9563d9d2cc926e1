/*
 * The two copies of a LUKS2 header, looked at without libcryptsetup: the library repairs a
 * damaged copy by itself when it loads a header, and here nothing may be written before a
 * person has decided (LUKS2 On-Disk Format Specification, chapter 2).
 */
#ifndef SYS_LUKS_HEADER_H
#define SYS_LUKS_HEADER_H

#include "base/err.h"
#include "sys/luks.h"

/*
 * LUKS_ABSENT only when no copy is there. FAILED_PRECONDITION names the copy that is damaged.
 * Only uuid and version of the header are filled.
 */
int luks_header_read(int fd, enum luks_probe *ret_probe, struct luks_header *ret_header,
		     struct err *e) MUST_CHECK;

/*
 * The JSON of the primary copy, owned by the caller; NULL when that copy is not intact, or is no
 * LUKS2.
 */
int luks_header_text(int fd, char **ret_text, struct err *e) MUST_CHECK;

/*
 * For a header that luks_header_read() refuses: whether one copy is intact and the other is not,
 * or is older, so that luks_header_mend() brings it back. Fills uuid and version then.
 */
int luks_header_is_mendable(int fd, bool *ret_yes, struct luks_header *ret_header,
			    struct err *e) MUST_CHECK;

/*
 * Whether the passphrase opens the intact copy, or the newer one. Writes nothing.
 * PERMISSION_DENIED when it does not.
 */
int luks_header_try(int fd, const struct secret *passphrase, struct err *e) MUST_CHECK;

/*
 * Writes the damaged or older copy anew from the other. Only where an update of the header by
 * ourselves was interrupted, or where a person has asked for it. FAILED_PRECONDITION when the
 * header is not whole afterwards.
 */
int luks_header_mend(int fd, struct err *e) MUST_CHECK;

#endif
