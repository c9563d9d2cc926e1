/* Volume capabilities: what a caller wants to do with a volume, and whether it may. Pure. */
#ifndef VOLUME_CAPABILITY_H
#define VOLUME_CAPABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "volume/params.h"

/* The numbers of csi.v1.VolumeCapability.AccessMode.Mode. */
enum access_mode {
	ACCESS_UNKNOWN = 0,
	ACCESS_SINGLE_NODE_WRITER = 1,
	ACCESS_SINGLE_NODE_READER_ONLY = 2,
	ACCESS_MULTI_NODE_READER_ONLY = 3,
	ACCESS_MULTI_NODE_SINGLE_WRITER = 4,
	ACCESS_MULTI_NODE_MULTI_WRITER = 5,
	ACCESS_SINGLE_NODE_SINGLE_WRITER = 6,
	ACCESS_SINGLE_NODE_MULTI_WRITER = 7,
};

/* All text is borrowed from the request. */
struct capability {
	bool block;
	enum access_mode mode;
	const char *fs_type; /* "" when the caller has no wish */
	const char *const *flags;
	size_t flag_count;
	bool has_group; /* volume_mount_group */
	uint32_t group;
};

/*
 * Whether a volume of this backend can be used so. INVALID_ARGUMENT says what is not supported.
 */
int capability_check(const struct capability *capability, enum backend backend,
		     struct err *e) MUST_CHECK;

/*
 * Whether an existing volume, block or not, with this fsType, fits. INVALID_ARGUMENT otherwise.
 */
int capability_fits(const struct capability *capability, bool block, enum fs_type fs_type,
		    struct err *e) MUST_CHECK;

/* Whether a volume of this backend can be used in this mode. */
bool capability_mode_fits(enum access_mode mode, enum backend backend);

/* Whether the mode is one for several nodes. */
bool capability_mode_is_of_nodes(enum access_mode mode);

/* Whether this mount flag is asked for. */
bool capability_has_flag(const struct capability *capability, const char *flag);

bool capability_is_reader(const struct capability *capability);

#endif
