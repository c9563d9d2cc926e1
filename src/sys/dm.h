/* What the kernel says of a device-mapper device, read from /sys: no library, no udev. */
#ifndef SYS_DM_H
#define SYS_DM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct dm_info {
	unsigned minor;
	dev_t device;	/* of /dev/dm-N */
	char path[192]; /* /dev/mapper/NAME where that is the same device, else /dev/dm-N */
	char uuid[160]; /* "CRYPT-LUKS2-<32 hex digits>-NAME" */
	bool suspended;
	int loop_number; /* N where the only slave is loopN, else -1 */
	uint64_t size_bytes;
};

/* Looks for an active mapping (one with a table) of this name. *ret_found false: none. */
int dm_find(const char *name, bool *ret_found, struct dm_info *ret_info, struct err *e) MUST_CHECK;

/*
 * Removes a mapping of this name that never came to have a table, if it is of LUKS: what a process
 * leaves that was killed while it opened one. It is not in /sys, so dmsetup(8) is asked. None, or
 * one that is in use, is success.
 */
int dm_remove_unfinished(const char *name, struct err *e) MUST_CHECK;

/* Whether the mapping is LUKS2 (or LUKS1) with this header UUID (36 characters). */
bool dm_is_luks(const struct dm_info *info, const char *luks_uuid);

#endif
