/* Ciphers that show what they should hide. Pure. */
#ifndef VOLUME_CIPHER_H
#define VOLUME_CIPHER_H

#include "base/err.h"

/*
 * Whether a new volume may have this cipher ("aes-xts-plain64", checked text). INVALID_ARGUMENT
 * when its mode shows something of the data to whoever has the image: says what, and what to use
 * instead. A volume that exists is opened with whatever it has.
 */
int cipher_check_new(const char *cipher, struct err *e) MUST_CHECK;

#endif
