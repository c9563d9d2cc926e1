/* What an rclone finds in its environment: nothing of ours but the way to the network. */
#ifndef S3_RCLONE_ENVIRONMENT_H
#define S3_RCLONE_ENVIRONMENT_H

#define RCLONE_ENVIRONMENT_MAX 16

/*
 * An inherited RCLONE_* or AWS_* would change what rclone does, and even the name of its cache.
 * notify_socket: where it says that it is ready, or NULL. The texts are owned by the caller.
 */
void rclone_environment_fill(char *environment[RCLONE_ENVIRONMENT_MAX], const char *notify_socket);
void rclone_environment_free(char *environment[RCLONE_ENVIRONMENT_MAX]);

#endif
