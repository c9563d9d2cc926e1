/* From root to a user that owns nothing but the folder of the rclones. */
#include "mounter/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/privileges.h"
#include "base/syscalls.h"
#include "s3/rclone_user.h"

/*
 * A folder that is given already was given with all that is in it, and what its new owner put there
 * since is not looked at by root.
 */
static int give_folder(int folder_fd, const char *folder, struct err *e)
{
	struct stat st;

	if (fstat(folder_fd, &st) < 0)
		return err_sys(e, errno, "cannot look at the folder '%s'", folder);
	return st.st_uid == RCLONE_USER ? 0 : owner_give(folder, RCLONE_USER, e);
}

static int become_user(int folder_fd, const char *folder, struct err *e)
{
	if (!privileges_may_become()) {
		log_warn("the mounter stays the user that it is: CHOWN, SETUID and SETGID are "
			 "needed to become another",
			 KV("user", geteuid()));
		privileges_drop();
		return 0;
	}
	if (give_folder(folder_fd, folder, e) < 0)
		return -1;
	int rc = privileges_become(RCLONE_USER);
	return rc < 0 ? err_sys(e, -rc, "cannot become user %d", RCLONE_USER) : 0;
}

int confine(int run_fd, const char *folder, const char *name, struct err *e)
{
	auto_close int folder_fd = -1;

	if (mkdirat(run_fd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make the folder '%s'", folder);
	folder_fd = openat(run_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder_fd < 0)
		return err_sys(e, errno, "cannot open the folder '%s'", folder);
	if (become_user(folder_fd, folder, e) < 0)
		return -1;
	if (fchdir(folder_fd) < 0)
		return err_sys(e, errno, "user %u cannot use the folder '%s'", geteuid(), folder);
	int rc = syscalls_forbid();
	if (rc < 0)
		log_warn("the kernel cannot forbid system calls: there is no seccomp filter",
			 KV("error", strerror(-rc)));
	return 0;
}
