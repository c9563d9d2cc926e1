/*
 * Scope-bound ownership. A variable marked auto_* gives its resource back when it leaves its
 * scope; success hands it over with TAKE(). Every such variable is initialised where it is
 * declared.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Moves the value out of v and leaves `none` there, so that v's cleanup has nothing to do. */
#define TAKE(v, none)                                                                              \
	({                                                                                         \
		__typeof__(v) taken_ = (v);                                                        \
		(v) = (none);                                                                      \
		taken_;                                                                            \
	})

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static inline void cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define auto_free CLEANUP(cleanup_free)
#define auto_close CLEANUP(cleanup_close)
#define auto_closedir CLEANUP(cleanup_closedir)
#define auto_fclose CLEANUP(cleanup_fclose)

#endif
