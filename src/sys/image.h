/* Backing files: made once, grown, read for blankness, and unlinked in exactly one function. */
#ifndef SYS_IMAGE_H
#define SYS_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Makes dir_fd/name with `size_bytes`, mode 0600, whole or not at all: it is written under a
 * temporary name, reserved (fallocate unless `thin`), synced and renamed without replacing
 * (RENAME_NOREPLACE). A temporary file of an earlier crash is reused. RESOURCE_EXHAUSTED when
 * the file system or a quota has no room (thin: when free space < size), and then nothing is
 * left behind. FAILED_PRECONDITION when the file system cannot reserve space.
 */
int image_create(int dir_fd, const char *name, uint64_t size_bytes, bool thin,
		 struct err *e) MUST_CHECK;

/* Opens an existing image: a regular file, no symlink. NOT_FOUND when absent. */
int image_open(int dir_fd, const char *name, int flags, int *ret_fd, struct err *e) MUST_CHECK;

/*
 * Grows the file to size_bytes and syncs, also one that has the size already; it never shrinks.
 * RESOURCE_EXHAUSTED when there is no room, and then the size is as before.
 */
int image_grow(int fd, uint64_t size_bytes, bool thin, struct err *e) MUST_CHECK;

/*
 * Whether the bytes from `from` to the end of the file are zero. What was reserved and never
 * written is skipped (SEEK_DATA of lseek(2)), so that a new image of any size is quickly looked at.
 */
int image_is_zero(int fd, uint64_t from, bool *ret_zero, struct err *e) MUST_CHECK;

/*
 * FAILED_PRECONDITION when the file has other names (hard links): what is written to it would
 * change what somebody kept under them.
 */
int image_check_single(int fd, const char *name, struct err *e) MUST_CHECK;

/*
 * Destroys the first `length` bytes (the LUKS headers and keyslots) with random bytes and then
 * zeros, each synced. The volume key cannot be had back afterwards.
 */
int image_erase_head(int fd, uint64_t length, struct err *e) MUST_CHECK;

/*
 * The only unlink of a backing file in the house: removes dir_fd/name, and its temporary
 * sibling, if the inode is the one of `fd`; fd < 0 only where the file is gone already.
 * Syncs the directory. A file that is not there is success.
 */
int image_unlink(int dir_fd, const char *name, int fd, struct err *e) MUST_CHECK;

#endif
