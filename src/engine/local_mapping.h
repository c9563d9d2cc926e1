/* The dm-crypt mapping of a volume: proof that it is ours, and its orderly end. */
#ifndef ENGINE_LOCAL_MAPPING_H
#define ENGINE_LOCAL_MAPPING_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"
#include "sys/dm.h"

/*
 * The active mapping of the volume, if any, and proof that it is ours: its name, LUKS UUID
 * (`luks_uuid`) and, through its loop device, the inode of our image. FAILED_PRECONDITION when a
 * mapping of this name is something else.
 */
int local_mapping_find(const char *mapping, const char *luks_uuid, const struct stat *image,
		       bool *ret_found, struct dm_info *ret_info, struct err *e) MUST_CHECK;

/*
 * Closes the mapping and waits until its loop device, which is autoclear, has let go of the image.
 * FAILED_PRECONDITION while either is in use.
 */
int local_mapping_close(const char *mapping, const struct dm_info *info, struct err *e) MUST_CHECK;

#endif
