/*
 * The holder: the node that has a volume staged for writing. It is an object in the volume itself
 * (through crypt), because the bucket is the one thing that all nodes share; the S3 server decides
 * which of two nodes has it (a conditional PUT). Readers need none. It names the volume too: of
 * those that share a prefix (s3-shared-prefix) one at a time can be written, on one node as on two.
 */
#ifndef ENGINE_S3_HOLDER_H
#define ENGINE_S3_HOLDER_H

#include "engine/s3_bucket.h"

/*
 * Takes the volume for this node; that it has it already is success (*ret_new false).
 * FAILED_PRECONDITION names the other node, or the other volume of the prefix, that has it, and
 * says how an administrator accepts the loss of what that node did not upload
 * (s3_holder_accept_loss()).
 */
int s3_holder_take(const struct node *node, const struct s3_bucket *bucket, bool *ret_new,
		   struct err *e) MUST_CHECK;

/*
 * That what the cache of this node holds may go to S3: the node has the volume now. Else an
 * administrator gave that up, another node had the volume since, and an upload would overwrite what
 * is newer: FAILED_PRECONDITION says so.
 */
int s3_holder_check(const struct node *node, const struct s3_bucket *bucket,
		    struct err *e) MUST_CHECK;

/* Gives the volume back, if this node has it. */
int s3_holder_drop(const struct node *node, const struct s3_bucket *bucket,
		   struct err *e) MUST_CHECK;

/*
 * Notes on this node that the data which node `holder` may hold is lost: the next s3_holder_take()
 * here takes the volume from that node, and from no other. Durable, and good for that one call: a
 * note that does not fit what is found in the bucket is thrown away.
 */
int s3_holder_accept_loss(const struct node *node, const char *id, const char *holder,
			  struct err *e) MUST_CHECK;

#endif
