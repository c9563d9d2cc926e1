/* Giving a folder to another user. */
#ifndef BASE_OWNER_H
#define BASE_OWNER_H

#include <sys/types.h>

#include "base/err.h"

/*
 * Makes user and group `id` the owner of the folder and of all below it, in this file system; the
 * folder itself comes last. What is right already is not touched. Symbolic links are changed, not
 * followed, also when somebody exchanges a folder for one meanwhile.
 */
int owner_give(const char *folder, uid_t id, struct err *e) MUST_CHECK;

#endif
