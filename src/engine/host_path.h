/* Paths of the host, which the driver sees below --host-root. Pure. */
#ifndef ENGINE_HOST_PATH_H
#define ENGINE_HOST_PATH_H

#include "engine/local.h"

/* Where the host's path is seen here. Owned by the caller. Never NULL. */
char *host_path_here(const struct node *node, const char *host_path);

/* The host's name of a path of ours; NULL when it does not lie below the host's root. Borrowed. */
const char *host_path_of(const struct node *node, const char *path);

#endif
