/* Asking a running rclone through its rc socket: only the calls that need no password. */
#ifndef S3_RCLONE_RC_H
#define S3_RCLONE_RC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct rclone_stats {
	bool has_cache; /* "diskCache" is there; without it the numbers are 0 */
	uint64_t queued, uploading, cache_bytes;
	bool out_of_space;
	uint64_t waiting_bytes; /* of all files in the queue */
	uint64_t failed;	/* files of the queue whose upload failed at least once */
};

/*
 * vfs/stats and vfs/queue. UNAVAILABLE when rclone does not answer within timeout_ms or says
 * something else than expected: nothing is known then, which is not the same as nothing waiting.
 */
int rclone_rc_stats(const char *socket_path, int64_t timeout_ms, struct rclone_stats *ret_stats,
		    struct err *e) MUST_CHECK;

#endif
