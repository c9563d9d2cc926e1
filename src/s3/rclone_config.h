/*
 * The configuration of rclone, with its secrets, in a sealed memfd: never on disk, in argv or in
 * the environment. The remotes are "s3:" (the ciphertext, to be followed by bucket and path) and
 * "c:" (the plaintext of the volume). Their names never change: the cache folder is named after
 * them, and with another name the uploads that wait in it would never be found.
 */
#ifndef S3_RCLONE_CONFIG_H
#define S3_RCLONE_CONFIG_H

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"

/* All borrowed. */
struct rclone_config {
	const char *bucket, *prefix;   /* prefix: no slash at either end */
	const char *region, *endpoint; /* NULL: unset; no endpoint: AWS */
	bool force_path_style;
	const struct secret *access_key_id, *secret_access_key;
	const struct secret *password, *password2; /* NULL: no remote "c:" */
};

/*
 * *ret_fd is the memfd, O_CLOEXEC, sealed against every change; rclone opens it as /dev/fd/N.
 * INVALID_ARGUMENT when a key holds what a configuration file cannot (a line end, for one).
 */
int rclone_config_open(const struct rclone_config *config, int *ret_fd, struct err *e) MUST_CHECK;

#endif
