/* What the mounter gives up once it has opened what only root may open. */
#ifndef MOUNTER_CONFINE_H
#define MOUNTER_CONFINE_H

#include "base/err.h"

/*
 * Gives the folder of all rclones (`name` in run_fd, "{run_dir}/mounter") to RCLONE_USER and
 * becomes that user, without capabilities, without a way to get any, and without the system calls
 * that nothing here needs (base/syscalls.h); what is started later inherits all of it. The folder
 * is the working directory then. A mounter that may not change its user (CHOWN, SETUID and SETGID
 * are needed) says so in its log, and does the rest.
 */
int confine(int run_fd, const char *folder, const char *name, struct err *e) MUST_CHECK;

#endif
