/* Mount flags of a capability, sorted into what the mount and what the file system takes. */
#ifndef SYS_MOUNT_FLAGS_H
#define SYS_MOUNT_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mount_flag_kind {
	MOUNT_FLAG_NONE,       /* says what is so anyway: "defaults", "rw", "dev" */
	MOUNT_FLAG_ATTRIBUTE,  /* of the mount: set and clear are MOUNT_ATTR_* */
	MOUNT_FLAG_FILESYSTEM, /* word or word=value for fsconfig(2) */
	MOUNT_FLAG_FORBIDDEN,  /* would undo the driver's own work */
};

struct mount_flag {
	enum mount_flag_kind kind;
	uint64_t set, clear;
};

/* Pure. */
struct mount_flag mount_flag_sort(const char *flag);

/*
 * Whether a mount with these options (of mountinfo: "rw,nosuid,relatime") was made with these
 * flags, and had those of `inherited` before (options too; "" when it is no bind). Compares what
 * every mount shows when it is set: nosuid, nodev, noexec, nodiratime, nosymfollow; and ro, but
 * for a bind, which may be read-only for more reasons than its flags. Pure.
 */
bool mount_flags_match(const char *const flags[], size_t count, const char *inherited,
		       const char *options);

#endif
