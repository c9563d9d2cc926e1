/* Rights that a process does without. */
#include "base/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * With an empty bounding set exec gives root no capability back, unless it is inheritable: so none
 * is. A container that has few may not change the set, and then the set is what it was given.
 */
static void bound_children(void)
{
	for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static void drop_own(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	syscall(SYS_capset, &header, none);
}

void privileges_drop(void)
{
	bound_children();
	drop_own();
}

static bool have_all(uint32_t need)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capget, &header, have) == 0 && (have[0].effective & need) == need;
}

bool privileges_may_become(void)
{
	return have_all(1u << CAP_CHOWN | 1u << CAP_SETUID | 1u << CAP_SETGID);
}

bool privileges_may_start_as(void)
{
	return have_all(1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL);
}

/* Groups first: who is no longer root may not change them. */
int privileges_become(uid_t id)
{
	if (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0)
		return -errno;
	/* The bounding set goes while we may still change it. */
	bound_children();
	if (setresuid(id, id, id) < 0)
		return -errno;
	drop_own();
	return 0;
}
