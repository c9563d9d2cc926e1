/* Passphrases: never from the command line or the environment, which other processes can read. */
#ifndef CTL_PASSPHRASE_H
#define CTL_PASSPHRASE_H

#include "base/err.h"
#include "base/secret.h"

/*
 * Reads descriptor `fd` to its end, or, with fd -1, asks at the terminal without showing what is
 * typed; `what` is the prompt. INVALID_ARGUMENT when it is empty, or there is no terminal.
 */
int ctl_passphrase(int fd, const char *what, struct secret **ret_secret, struct err *e) MUST_CHECK;

#endif
