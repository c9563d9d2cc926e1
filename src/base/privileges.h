/* Rights that a process does without. */
#ifndef BASE_PRIVILEGES_H
#define BASE_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/macros.h"

/*
 * Gives up every capability, now and for whatever this process executes, and the way back through
 * set-user-ID programs. It stays root by its number: what root owns it can use.
 */
void privileges_drop(void);

/* Whether this process may change its user, its groups, and the owner of files. */
bool privileges_may_become(void);

/* Whether it may start a program as another user, and end it when its time is over. */
bool privileges_may_start_as(void);

/*
 * As privileges_drop(), and becomes user and group `id`, without further groups: what root owns it
 * cannot use any more, except what it holds open. 0 or -errno; -EPERM for who may not change its
 * user: then it has dropped nothing.
 */
int privileges_become(uid_t id) MUST_CHECK;

#endif
