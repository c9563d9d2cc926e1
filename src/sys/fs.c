/* File systems: making, checking, growing through their own programs. */
#include "sys/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/proc.h"
#include "base/step.h"
#include "sys/fs_super.h"

enum { TOOL_MS = 9 * 60 * 1000 };

static int run_tool(const char *const argv[], const char *what, const char *device, struct err *e)
{
	struct proc_result result;

	if (proc_run(argv, TOOL_MS, &result, e) < 0)
		return err_wrap(e, "cannot %s on '%s'", what, device);
	if (result.exit_code != 0)
		return err_set(e, ERR_INTERNAL, "cannot %s on '%s': %s (exit %d): %.400s", what,
			       device, argv[0], result.exit_code, result.output);
	return 0;
}

static int make_ext(const char *device, enum fs_type type, const char *uuid, struct err *e)
{
	/*
	 * No discard: the space of a thick volume stays reserved. No reserved blocks: a volume has
	 * no root of its own. Errors make it read-only, which the condition then shows.
	 */
	const char *const argv[] = { "mke2fs",
				     "-F",
				     "-q",
				     "-t",
				     fs_type_name(type),
				     "-m",
				     "0",
				     "-U",
				     uuid,
				     "-e",
				     "remount-ro",
				     "-E",
				     "nodiscard,lazy_itable_init=1,lazy_journal_init=1",
				     device,
				     NULL };

	return run_tool(argv, "make an ext file system", device, e);
}

/*
 * Features that kernel 5.10 cannot mount, newest first, each with the version of xfsprogs that
 * knows the word. A mkfs.xfs that does not know one refuses before it writes, and then does not
 * use it either. (The lts_*.conf files would say the same, but Debian 12's are broken.)
 */
static const char *const xfs_without[] = {
	"nrext64=0,exchange=0", /* 6.10 */
	"nrext64=0",		/* 5.19 */
	NULL,
};

static int make_xfs(const char *device, const char *uuid, struct err *e)
{
	char identity[64];
	int rc = -1;

	snprintf(identity, sizeof(identity), "uuid=%s", uuid);
	/* INTERNAL: the program ran and said no; anything else is not about its options. */
	for (size_t i = 0; i < ARRAY_LEN(xfs_without); i++) {
		const char *without = xfs_without[i];
		const char *const argv[] = { "mkfs.xfs",
					     "-q",
					     "-f",
					     "-K",
					     "-m",
					     identity,
					     without ? "-i" : device,
					     without,
					     without ? device : NULL,
					     NULL };

		rc = run_tool(argv, "make an xfs file system", device, e);
		if (rc == 0 || e->code != ERR_INTERNAL)
			break;
	}
	return rc;
}

int fs_make(const char *device, enum fs_type type, const char *uuid, struct err *e)
{
	int64_t started = clock_ms();
	int rc = type == FS_XFS ? make_xfs(device, uuid, e) : make_ext(device, type, uuid, e);

	step_ended(STEP_FS_MAKE, started);
	return rc;
}

int fs_check(const char *device, enum fs_type type, struct err *e)
{
	const char *const argv[] = { "e2fsck", "-p", device, NULL };
	int64_t started = clock_ms();
	struct proc_result result;

	if (type == FS_XFS)
		return 0;
	int rc = proc_run(argv, TOOL_MS, &result, e);
	step_ended(STEP_FS_CHECK, started);
	if (rc < 0)
		return err_wrap(e, "cannot check '%s', run `e2fsck -f %s`", device, device);
	/* 1: errors corrected; 2: corrected, and not mounted here so there is nothing to reboot. */
	if (result.exit_code >= 0 && result.exit_code <= 3)
		return 0;
	return err_set(
		e, ERR_FAILED_PRECONDITION,
		"the file system on '%s' has errors that need a person, run `e2fsck -f %s` (e2fsck "
		"exit %d: %.200s)",
		device, device, result.exit_code, result.output);
}

int fs_needs_grow(const char *device, enum fs_type type, const char *mount_path,
		  uint64_t device_bytes, bool *ret_yes, struct err *e)
{
	struct fs_size size;

	if (fs_super_size(device, type, mount_path, device_bytes, &size, e) < 0)
		return -1;
	*ret_yes = size.bytes < size.reach_bytes;
	return 0;
}

static int device_size(const char *device, uint64_t *ret_bytes, struct err *e)
{
	auto_close int fd = open(device, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (size < 0)
		return err_sys(e, errno, "cannot ask for the size of '%s'", device);
	*ret_bytes = (uint64_t)size;
	return 0;
}

int fs_grow(const char *device, enum fs_type type, const char *mount_path, struct err *e)
{
	const char *const ext[] = { "resize2fs", device, NULL };
	const char *const xfs[] = { "xfs_growfs", "-d", mount_path, NULL };
	uint64_t device_bytes = 0;
	struct fs_size size;

	if (device_size(device, &device_bytes, e) < 0 ||
	    run_tool(type == FS_XFS ? xfs : ext, "grow the file system", device, e) < 0 ||
	    fs_super_size(device, type, mount_path, device_bytes, &size, e) < 0)
		return -1;
	/* With features that are not known here the reach may be off: no reason to fail a stage. */
	if (size.bytes + size.rest_bytes <= size.reach_bytes)
		return err_set(e, ERR_INTERNAL,
			       "the file system on '%s' did not grow: it has %llu bytes, and could "
			       "have %llu",
			       device, (unsigned long long)size.bytes,
			       (unsigned long long)size.reach_bytes);
	return 0;
}

int fs_usage(int fd, struct fs_usage *ret_usage, struct err *e)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0)
		return err_sys(e, errno, "cannot ask the file system for its usage");
	ret_usage->total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
	ret_usage->used_bytes = (uint64_t)(st.f_blocks - st.f_bfree) * st.f_frsize;
	ret_usage->free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	ret_usage->total_inodes = st.f_files;
	ret_usage->used_inodes = st.f_files - st.f_ffree;
	ret_usage->free_inodes = st.f_favail;
	return 0;
}
