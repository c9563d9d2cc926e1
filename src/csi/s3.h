/* The handlers' other half: what a call means for a volume in S3. */
#ifndef CSI_S3_H
#define CSI_S3_H

#include "csi/service.h"
#include "engine/s3.h"
#include "gen/csi.pb-c.h"
#include "rpc/call.h"

/*
 * Whether the volume is one in S3: by its record, or, where the store does not know it, by the
 * volume context of the request (NULL and 0: none). An id that is not valid is not.
 */
bool csi_is_s3(const struct csi_service *service, const char *id, void *const context[],
	       size_t count);

/* The secrets of a call, and those that were read for it. Zeroed: none. */
struct csi_s3_keys {
	struct s3_secrets secrets; /* borrowed from the call or from `own` */
	struct secret *own[2];
};
void csi_s3_keys_done(struct csi_s3_keys *keys);
#define auto_s3_keys __attribute__((cleanup(csi_s3_keys_done)))

/*
 * The secrets of the call, by the names that the specification gives them. S3 keys that it does not
 * bring are read from the Secret that the class names (s3-access-key-id-secret-name), in a
 * cluster; PERMISSION_DENIED then says how to allow it.
 */
int csi_s3_keys_find(const struct rpc_call *call, const struct params *params,
		     struct csi_s3_keys *ret_keys, struct err *e) MUST_CHECK;

/* The secrets that the call itself brings. Borrowed. */
struct s3_secrets csi_s3_secrets(const struct rpc_call *call, const struct params *params);

/*
 * Makes the parameters of a new volume whole: what the class leaves out (bucket, region, endpoint,
 * path style, prefix) is taken from the Secret, and templates in the prefix are replaced.
 * INVALID_ARGUMENT when class and Secret disagree or nobody names a bucket.
 */
int csi_s3_complete(const struct rpc_call *call, const Csi__V1__CreateVolumeRequest *request,
		    struct params *params, struct err *e) MUST_CHECK;

/*
 * Records a new volume. `known` is what the store has of it, or NULL; one that is being deleted is
 * deleted first. INVALID_ARGUMENT when another volume has its place. With S3 keys in the request
 * the bucket is looked at before anything is recorded.
 */
int csi_s3_create(const struct rpc_call *call, const struct volume_record *known,
		  const struct volume_record *wanted, struct volume_record *ret_made,
		  struct err *e) MUST_CHECK;

/* Purges the prefix, unless another volume shares it or nothing was ever written, and forgets. */
int csi_s3_delete(const struct rpc_call *call, struct volume_record *record,
		  struct err *e) MUST_CHECK;

/* The size is a number in the record: nothing else changes. */
int csi_s3_expand(struct csi_service *service, struct volume_record *record, uint64_t bytes,
		  struct err *e) MUST_CHECK;

rpc_handler node_s3_stage, node_s3_unstage, node_s3_stats, node_s3_expand;

#endif
