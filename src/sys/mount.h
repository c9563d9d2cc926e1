/* Mounting through the new mount API (fsopen(2) and friends), so that errors carry the kernel's
 * own sentence and no path is resolved twice. */
#ifndef SYS_MOUNT_H
#define SYS_MOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * Checks mount flags of a volume capability ("noatime", "ro", "commit=5", ...). INVALID_ARGUMENT
 * names the flag when it is empty, has control characters, or would undo the driver's own work
 * (bind, remount, move, loop, propagation, context of another device).
 */
int mount_flags_check(const char *const flags[], size_t count, struct err *e) MUST_CHECK;

/*
 * Mounts the file system on `device` where nobody sees it: *ret_fd is the mount (to be opened with
 * openat(2)), which ends with its descriptor unless it was attached. Flags of the file system go to
 * it, flags of the mount (ro, noexec, nodev, nosuid, noatime, ...) to the mount. A flag that the
 * file system does not know is INVALID_ARGUMENT with the kernel's words.
 */
int mount_make(const char *device, const char *fs_type, const char *const flags[], size_t count,
	       bool read_only, int *ret_fd, struct err *e) MUST_CHECK;

/* Puts what mount_make() made at the directory target_fd. */
int mount_attach(int mount_fd, int target_fd, struct err *e) MUST_CHECK;

/*
 * Binds source_fd (a directory or a device node opened O_PATH) to target_fd; the mount's own
 * flags (noexec, nodev, ...) among `flags` are applied, those of the file system are not.
 * The bind becomes visible only when it is complete, read-only included.
 */
int mount_bind(int source_fd, int target_fd, const char *const flags[], size_t count,
	       bool read_only, struct err *e) MUST_CHECK;

/* Takes the topmost mount away from an absolute path, never lazily, never following a symlink.
 * FAILED_PRECONDITION while in use. A path that is no mount is success. */
int mount_remove(const char *path, struct err *e) MUST_CHECK;

/*
 * Takes the topmost mount away at once, also where it is in use: for a mount whose server is gone,
 * which nobody can use any more. A path that is no mount is success.
 */
int mount_detach(const char *path, struct err *e) MUST_CHECK;

/*
 * Makes a whole file system, with everything that is bound from it, read-only or writable; it stays
 * nosuid and nodev. FAILED_PRECONDITION with err.sys EBUSY while a file is open for writing.
 */
int mount_set_read_only(const char *path, bool read_only, struct err *e) MUST_CHECK;

#endif
