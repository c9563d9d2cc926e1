/* An rclone and its mount, together. */
#ifndef ENGINE_S3_SERVE_H
#define ENGINE_S3_SERVE_H

#include "engine/s3_bucket.h"

/*
 * Mounts the volume at the staging path and starts its rclone on an open cache (if the class wants
 * one); what it looks like is checked in mountinfo. Nothing of it is left when it fails.
 */
int s3_serve(const struct node *node, const struct volume_record *record,
	     const struct s3_bucket *bucket, const struct capability *capability,
	     const struct target *target, struct err *e) MUST_CHECK;

#endif
