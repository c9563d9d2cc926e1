/*
 * Files and directories by descriptor. Everything is O_CLOEXEC. These are leaves: they return
 * 0 or a descriptor, or -errno, and have no story to tell.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macros.h"

/*
 * Opens `path` (relative) below `dir_fd` with `flags`; no component may be a symbolic link or
 * leave dir_fd (openat2(2) RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS).
 */
int fd_open_beneath(int dir_fd, const char *path, int flags, mode_t mode) MUST_CHECK;

/* Creates every missing directory of `path` below dir_fd, each with `mode`; no symlinks. */
int fd_mkdirs_beneath(int dir_fd, const char *path, mode_t mode) MUST_CHECK;

/*
 * Reads a whole file of at most `limit` bytes below dir_fd. *ret_text is NUL-terminated and
 * owned by the caller. -EFBIG when larger, -ENOENT when absent, -EINVAL when it holds a NUL.
 */
int fd_read_file(int dir_fd, const char *name, size_t limit, char **ret_text) MUST_CHECK;

/*
 * The same for a path that an administrator gave, or that the system makes out of symbolic links
 * (a pod's service account). A relative path is of the working directory.
 */
int fd_read_trusted_file(const char *path, size_t limit, char **ret_text) MUST_CHECK;

/*
 * Replaces dir_fd/name by `text` so that a reader or a power cut sees the old or the new
 * content, whole: temporary file, fsync, rename, fsync of the directory. Mode 0600. After an error
 * the old content is there; the one exception is a disk that fails in the last step, and then the
 * new one is, as long as there is no power cut.
 */
int fd_write_file_atomic(int dir_fd, const char *name, const char *text) MUST_CHECK;

/* Writes all bytes, through EINTR and short writes. */
int fd_write_all(int fd, const void *bytes, size_t size) MUST_CHECK;

/* Reads a small /sys or /proc file into buffer, cut at `size`, without its final newline. */
int fd_read_small(const char *path, char *buffer, size_t size) MUST_CHECK;

#endif
