/*
 * Small secrets that outlive the process which has them: in the user keyring of the kernel. They
 * are in no file and are never swapped; root reads them, as it reads the memory of our processes,
 * and they end with the next boot.
 */
#ifndef SYS_KEYRING_H
#define SYS_KEYRING_H

#include "base/err.h"

/* Keeps a copy of what the memory file `fd` holds, instead of an earlier one of this name. */
int keyring_put(const char *name, int fd, struct err *e) MUST_CHECK;

/* A new memory file, sealed, with that copy; *ret_fd is -1 where there is none. */
int keyring_get(const char *name, int *ret_fd, struct err *e) MUST_CHECK;

/* Wipes the copy; that there is none is success. */
int keyring_drop(const char *name, struct err *e) MUST_CHECK;

#endif
