/* Who rclone is. */
#ifndef S3_RCLONE_USER_H
#define S3_RCLONE_USER_H

/*
 * Nobody's: below the ranges of user namespaces (65536) and of systemd (61184), above packages.
 * Every rclone of a node is this user, the ones that serve a mount (with their mounter) and the
 * ones that answer one question.
 */
#define RCLONE_USER 47710

#endif
