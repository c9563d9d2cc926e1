/*
 * Checks the bytes of a protobuf message against its descriptor before it is unpacked, because
 * protobuf-c takes what no other language does: NUL bytes, which cut a C string, and text that
 * is not UTF-8. Pure.
 */
#ifndef RPC_DECODE_H
#define RPC_DECODE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum decode_verdict { DECODE_OK, DECODE_MALFORMED, DECODE_BAD_TEXT };

/*
 * DECODE_BAD_TEXT fills `e` with INVALID_ARGUMENT naming the path of the field, never what it
 * holds; DECODE_MALFORMED leaves `e` alone: the caller knows what the message is called.
 */
enum decode_verdict decode_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
				 size_t size, struct err *e) MUST_CHECK;

#endif
