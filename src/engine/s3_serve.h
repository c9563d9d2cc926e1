/* An rclone and its mount, together. */
#ifndef ENGINE_S3_SERVE_H
#define ENGINE_S3_SERVE_H

#include "engine/s3_bucket.h"

enum s3_serve_kind {
	S3_SERVE_PODS,
	S3_SERVE_DRAIN, /* nobody will write: uploads begin at once */
};

/*
 * Mounts the volume at the staging path and starts its rclone on an open cache (if the class wants
 * one); what it looks like is checked in mountinfo. Nothing of it is left when it fails.
 */
int s3_serve(const struct node *node, const struct volume_record *record,
	     const struct s3_bucket *bucket, const struct capability *capability,
	     const struct target *target, enum s3_serve_kind kind, struct err *e) MUST_CHECK;

#endif
