/*
 * The last piece of a reencryption, kept in a file beside the image until the reencryption has
 * ended.
 *
 * libcryptsetup (2.6.1) that is killed when all data have the new key, and before it has taken back
 * what it wrote of the reencryption, begins anew when it is resumed: it takes the data for those of
 * the old key and destroys them. So the end is made repeatable: the header backup and this file
 * hold header and data as they were before the last piece, and go back before it is resumed.
 */
#ifndef SYS_LUKS_TAIL_H
#define SYS_LUKS_TAIL_H

#include <stdint.h>

#include "base/err.h"

#define LUKS_TAIL_NAME "luks-reencrypt.tail"
#define LUKS_TAIL_MAX (64u << 20)

/* Keeps the bytes of the image from `from` to `to`, whole or not at all. Durable when it returns.
 */
int luks_tail_write(int dir_fd, int image_fd, uint64_t from, uint64_t to, struct err *e) MUST_CHECK;

/* Writes them back and syncs. FAILED_PRECONDITION when the file is missing or damaged. */
int luks_tail_restore(int dir_fd, int image_fd, struct err *e) MUST_CHECK;

/* None is success. */
int luks_tail_remove(int dir_fd, struct err *e) MUST_CHECK;

#endif
