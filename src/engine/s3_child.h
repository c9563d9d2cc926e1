/* The rclone of a staged volume, which the mounter owns: the engine's wishes in its own words. */
#ifndef ENGINE_S3_CHILD_H
#define ENGINE_S3_CHILD_H

#include "engine/s3_bucket.h"

struct s3_child_wish {
	const struct volume_record *record;
	const struct capability *capability;
	const struct s3_bucket *bucket;
	const char *cache_path; /* NULL: no cache */
	bool read_only;
	bool hurry; /* only to upload what is left: no waiting for further writes */
	int fuse_fd;
	uint64_t dirty; /* files in the cache: rclone asks S3 for each of them before it serves */
};

/* Starts rclone on a mounted FUSE descriptor and waits until it serves, with its cache. */
int s3_child_start(const struct node *node, const struct s3_child_wish *wish,
		   struct err *e) MUST_CHECK;

struct s3_child {
	bool known; /* the mounter has an rclone of this volume, alive or ended */
	bool alive;
	bool starting;	  /* alive, and does not serve yet */
	bool answers;	  /* it is alive and its rc told the state below */
	bool queue_known; /* the numbers below are true; else nobody knows what is queued */
	uint64_t queued, uploading; /* files */
	uint64_t queued_bytes, cache_bytes;
	bool out_of_space; /* rclone's cache is full */
	char error[256];   /* the last failure that rclone told of, or "" */
};

/* What the mounter says of the volume's rclone. UNAVAILABLE when there is no mounter. */
int s3_child_look(const struct node *node, const char *id, struct s3_child *ret_child,
		  struct err *e) MUST_CHECK;

/*
 * The same, of an rclone that should serve: one that is alive and does not answer may be about to
 * end (a killed one closes its socket first), so it is looked at again for up to 5 s.
 */
int s3_child_look_settled(const struct node *node, const char *id, struct s3_child *ret_child,
			  struct err *e) MUST_CHECK;

/*
 * After the mount was taken away: waits until rclone has ended by itself. ABORTED when it does not.
 * Whether all was uploaded is said by the cache alone. No rclone is success.
 */
int s3_child_wait(const struct node *node, const char *id, struct err *e) MUST_CHECK;

/*
 * The configuration that the volume's rclone was started with, kept by the mounter so that the
 * volume can be drained and given back without the secrets of a request. *ret_fd is -1 when the
 * mounter has none.
 */
int s3_child_config(const struct node *node, const char *id, int *ret_fd, struct err *e) MUST_CHECK;

/* Drops that configuration, and all that the mounter knows of the volume. */
int s3_child_forget(const struct node *node, const char *id, struct err *e) MUST_CHECK;

/* Ends an rclone at once; what it did not upload stays in the cache. No rclone is success. */
int s3_child_kill(const struct node *node, const char *id, struct err *e) MUST_CHECK;

#endif
