/*
 * The mounter: owns one `rclone mount2` per staged volume, so that the node plugin can be killed,
 * upgraded or run out of memory without one mount noticing. It mounts and unmounts nothing, is a
 * user of its own as soon as it listens (mounter/confine.h), sees no request of Kubernetes, and
 * knows of secrets only as sealed descriptors that it keeps and hands back. When it dies, so do its
 * rclones: two on one cache would destroy it.
 *
 * Its socket takes one packet per connection (s3/packet.h): operation, volume, and what belongs to
 * it; see s3/mounter_client.h for what each one means.
 */
#ifndef MOUNTER_MOUNTER_H
#define MOUNTER_MOUNTER_H

#include <stdbool.h>

#include "base/err.h"

struct mounter_options {
	const char *run_dir, *socket_path; /* socket_path NULL: the default */
	const char *rclone;
	bool exit_when_idle; /* ends when the last volume is forgotten */
};

/*
 * Runs until SIGTERM, and then until no rclone is left. Another mounter in this run folder is
 * success: there is one.
 */
int mounter_run(const struct mounter_options *options, struct err *e) MUST_CHECK;

#endif
