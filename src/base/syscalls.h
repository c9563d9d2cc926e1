/* System calls that a process does without. */
#ifndef BASE_SYSCALLS_H
#define BASE_SYSCALLS_H

#include "base/macros.h"

/*
 * Forbids this process and all that it starts, for good: to change mounts and namespaces, to look
 * into other processes, to load code into the kernel or change the clock, and the kernel's lesser
 * used doors (bpf, io_uring, keyrings, sockets of other families than unix, IP and netlink). Each
 * answers EPERM. What it does not name is allowed: the programs that run behind it are not ours,
 * and a list of all that they may ever need would break with their next version.
 *
 * Needs PR_SET_NO_NEW_PRIVS (base/privileges.h). 0 or -errno.
 */
int syscalls_forbid(void) MUST_CHECK;

#endif
