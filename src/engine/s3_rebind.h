/* After the loss of an rclone: the published paths of a volume, bound to the new mount. */
#ifndef ENGINE_S3_REBIND_H
#define ENGINE_S3_REBIND_H

#include "engine/s3.h"

/*
 * Every path that shows an older mount of this volume than the one at `staging` is bound anew to
 * it, with the same read-only setting. Containers that had the dead mount in their own namespace
 * still have it, and see the new one only where kubelet's propagation reaches them; else their pod
 * must be restarted.
 */
int s3_rebind(const struct node *node, const char *id, const char *staging,
	      struct err *e) MUST_CHECK;

#endif
