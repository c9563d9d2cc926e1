/*
 * Passwords as rclone wants them in its configuration: "obscured" with AES-256-CTR under a key that
 * stands in rclone's source. It hides nothing; crypt refuses anything else.
 */
#ifndef S3_OBSCURE_H
#define S3_OBSCURE_H

#include "base/err.h"
#include "base/secret.h"

/*
 * The obscured text of a secret as a secret again: whoever has it, has the password. Owned by the
 * caller. INTERNAL when the kernel gives no random bytes.
 */
int obscure(const struct secret *password, struct secret **ret_text, struct err *e) MUST_CHECK;

#endif
