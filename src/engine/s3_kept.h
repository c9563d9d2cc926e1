/*
 * A second copy of the configuration of a volume's rclone. The mounter has the first, in memory: a
 * mounter that dies would take with it what unstage needs to upload what is left and to give the
 * volume back, because kubelet gives unstage no secrets. The kernel's keyring has this one until
 * the volume is given back, or the next boot.
 */
#ifndef ENGINE_S3_KEPT_H
#define ENGINE_S3_KEPT_H

#include "engine/s3.h"

/* A kernel that does not keep it is told of in the log; everything but the above works. */
void s3_kept_put(const struct node *node, const char *id, int config_fd);

/* *ret_fd is -1 where there is none. */
int s3_kept_get(const struct node *node, const char *id, int *ret_fd, struct err *e) MUST_CHECK;

void s3_kept_drop(const struct node *node, const char *id);

#endif
