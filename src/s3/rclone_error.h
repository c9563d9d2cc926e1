/* What rclone says when S3 does not answer as it should, as a sentence for a person. Pure. */
#ifndef S3_RCLONE_ERROR_H
#define S3_RCLONE_ERROR_H

#include "base/err.h"

enum s3_fault {
	S3_FAULT_UNKNOWN,
	S3_FAULT_DNS,
	S3_FAULT_TLS,
	S3_FAULT_NETWORK,
	S3_FAULT_CREDENTIALS,
	S3_FAULT_ACCESS, /* known, but not allowed */
	S3_FAULT_BUCKET,
	S3_FAULT_REGION,
	S3_FAULT_CLOCK,
	S3_FAULT_EXISTS, /* a conditional write found the object there */
	S3_FAULT_SERVER, /* 5xx, throttling */
};

/* Which fault the log of a failed command tells of. */
enum s3_fault rclone_fault(const char *log);

/*
 * Fills `e` for a command that failed. UNAVAILABLE for what may pass by itself (DNS, network,
 * server); FAILED_PRECONDITION for what a person must mend, with e->sys EACCES where it is the
 * keys, with which no retry can do better. `where` is the endpoint's host, or NULL for AWS; S3's
 * own words are added, without anything that could be a secret. Always -1.
 */
int rclone_refused(const char *log, const char *where, const char *bucket, struct err *e);

#endif
