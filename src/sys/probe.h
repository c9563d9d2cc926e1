/* What lies on a device: blank, something known, or "cannot tell", which is an error. */
#ifndef SYS_PROBE_H
#define SYS_PROBE_H

#include "base/err.h"

enum probe_kind { PROBE_BLANK, PROBE_KNOWN };

struct probe {
	enum probe_kind kind;
	char type[32]; /* "ext4", "xfs", "crypto_LUKS", "gpt", ... where known */
	char uuid[40];
};

/*
 * Looks for any file system, RAID, LUKS or partition table signature (libblkid). Every read
 * error and every ambiguous result is an error, never PROBE_BLANK.
 */
int probe_fd(int fd, const char *shown_name, struct probe *ret_probe, struct err *e) MUST_CHECK;

/*
 * Looks for this type alone ("ext4", "ext3", "xfs"): what users write into a file system may look
 * like the signature of something else. PROBE_BLANK: not of this type.
 */
int probe_fd_type(int fd, const char *shown_name, const char *type, struct probe *ret_probe,
		  struct err *e) MUST_CHECK;

/*
 * Writes zeros to the disk wherever probe_fd() looks (the first and the last MiB): for a device
 * that is about to be formatted, and only for such a one.
 */
int probe_clear(const char *device, struct err *e) MUST_CHECK;

#endif
