/* After the loss of an rclone: the published paths of a volume, bound to the new mount. */
#ifndef ENGINE_S3_REBIND_H
#define ENGINE_S3_REBIND_H

#include "engine/s3.h"

/*
 * Every published path that shows an older mount of this volume than the one at `staging` gets a
 * bind of the new one on top, with the same read-only setting. Repeatable; one path that fails does
 * not keep the others from theirs, and is the error. A container sees the new mount where its
 * mountPropagation is HostToContainer; else it keeps the dead one, and must be restarted.
 */
int s3_rebind(const struct node *node, const char *id, const char *staging,
	      struct err *e) MUST_CHECK;

#endif
