/* What an rclone finds in its environment: nothing of ours but the way to the network. */
#ifndef S3_RCLONE_ENVIRONMENT_H
#define S3_RCLONE_ENVIRONMENT_H

#include <stdint.h>

#define RCLONE_ENVIRONMENT_MAX 16

/*
 * An inherited RCLONE_* or AWS_* would change what rclone does, and even the name of its cache.
 * notify_socket: where it says that it is ready, or NULL. memory_limit: bytes that its heap tries
 * to stay below (GOMEMLIMIT); 0: enough for a command. The texts are owned by the caller.
 */
void rclone_environment_fill(char *environment[RCLONE_ENVIRONMENT_MAX], const char *notify_socket,
			     uint64_t memory_limit);
void rclone_environment_free(char *environment[RCLONE_ENVIRONMENT_MAX]);

#endif
