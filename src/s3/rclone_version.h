/* Which rclone is good enough: older ones lose data (research: stale reads, vanished files). */
#ifndef S3_RCLONE_VERSION_H
#define S3_RCLONE_VERSION_H

#include "base/err.h"

#define RCLONE_OLDEST "1.69.2"

/*
 * Reads the answer of `rclone version` ("rclone v1.76.0" in its first line; "-DEV" and the like
 * behind it are ignored). FAILED_PRECONDITION when it is older than RCLONE_OLDEST, or no answer of
 * rclone's. Pure.
 */
int rclone_version_check(const char *answer, struct err *e) MUST_CHECK;

/*
 * Asks the program, once per program file: what was found good is noted in run_dir, with the size
 * and time of the file.
 */
int rclone_version_ensure(const char *program, const char *run_dir, struct err *e) MUST_CHECK;

#endif
