/* gRPC words in HTTP/2 headers. Pure. */
#ifndef RPC_STATUS_H
#define RPC_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Three characters for each byte of struct err, at worst, and a NUL. */
#define STATUS_MESSAGE_SIZE (3 * sizeof(((struct err *)0)->msg) + 1)

/*
 * Writes `text` as a grpc-message: percent-encoded but for printable ASCII; bytes that are not
 * UTF-8 (a sentence that was cut, say) become '?'. Returns the length.
 */
size_t status_encode(const char *text, char ret_encoded[STATUS_MESSAGE_SIZE]);

/*
 * Reads a grpc-timeout, "100m", into milliseconds, rounded up. Eight digits of hours fit well
 * below the range of the result.
 */
bool status_parse_timeout(const char *text, size_t size, int64_t *ret_ms);

/* "application/grpc", alone or followed by '+' or ';'. */
bool status_is_grpc(const char *type, size_t size);

#endif
