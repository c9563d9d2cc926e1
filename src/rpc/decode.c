/* A walk over the wire format, led by the descriptor. */
#include "rpc/decode.h"

#include <stdbool.h>
#include <string.h>

#include "rpc/utf8.h"

#define MAX_DEPTH 16 /* CSI needs 5 */

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct cursor {
	const uint8_t *at, *end;
};

/* The fields that lead to where the walk is. */
struct trail {
	const struct trail *parent;
	const ProtobufCFieldDescriptor *field;
	unsigned depth;
};

static bool read_varint(struct cursor *cursor, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && cursor->at < cursor->end; shift += 7) {
		uint8_t byte = *cursor->at++;

		/* The tenth byte has room for one bit. */
		if (shift == 63 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct cursor *cursor, uint64_t size)
{
	if (size > (uint64_t)(cursor->end - cursor->at))
		return false;
	cursor->at += size;
	return true;
}

static void put_path(const struct trail *trail, char *path, size_t size)
{
	if (!trail || !trail->field)
		return;
	put_path(trail->parent, path, size);
	size_t used = strlen(path);
	if (used && used + 1 < size)
		path[used++] = '.';
	for (const char *from = trail->field->name; *from && used + 1 < size;)
		path[used++] = *from++;
	path[used] = '\0';
}

static enum decode_verdict bad_text(const struct trail *trail, const char *what, struct err *e)
{
	char path[128] = "";

	put_path(trail, path, sizeof(path));
	err_set(e, ERR_INVALID_ARGUMENT, "field '%s' %s", path, what);
	return DECODE_BAD_TEXT;
}

static enum decode_verdict check_text(const uint8_t *text, size_t size, const struct trail *trail,
				      struct err *e)
{
	while (size) {
		size_t length = utf8_char(text, size);

		if (!length)
			return bad_text(trail, "is not valid UTF-8", e);
		if (*text == '\0')
			return bad_text(trail, "holds a NUL byte", e);
		text += length;
		size -= length;
	}
	return DECODE_OK;
}

static enum decode_verdict check_message(const ProtobufCMessageDescriptor *type,
					 struct cursor cursor, const struct trail *trail,
					 struct err *e);

static enum decode_verdict check_bytes(const ProtobufCFieldDescriptor *field, struct cursor cursor,
				       const struct trail *parent, struct err *e)
{
	const struct trail trail = { parent, field, parent->depth + 1 };

	if (field && field->type == PROTOBUF_C_TYPE_STRING)
		return check_text(cursor.at, (size_t)(cursor.end - cursor.at), &trail, e);
	if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
		return check_message(field->descriptor, cursor, &trail, e);
	return DECODE_OK;
}

static enum decode_verdict check_field(const ProtobufCMessageDescriptor *type,
				       struct cursor *cursor, const struct trail *trail,
				       struct err *e)
{
	uint64_t tag, value;

	if (!read_varint(cursor, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
		return DECODE_MALFORMED;
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
	bool ok;
	switch (tag & 7) {
	case WIRE_VARINT:
		ok = read_varint(cursor, &value);
		break;
	case WIRE_64:
		ok = skip(cursor, 8);
		break;
	case WIRE_32:
		ok = skip(cursor, 4);
		break;
	case WIRE_BYTES:
		if (!read_varint(cursor, &value))
			return DECODE_MALFORMED;
		struct cursor inner = { cursor->at, cursor->end };
		if (!skip(cursor, value))
			return DECODE_MALFORMED;
		inner.end = cursor->at;
		return check_bytes(field, inner, trail, e);
	default: /* groups, which proto3 does not have */
		ok = false;
	}
	return ok ? DECODE_OK : DECODE_MALFORMED;
}

static enum decode_verdict check_message(const ProtobufCMessageDescriptor *type,
					 struct cursor cursor, const struct trail *trail,
					 struct err *e)
{
	if (trail->depth > MAX_DEPTH)
		return DECODE_MALFORMED;
	while (cursor.at < cursor.end) {
		enum decode_verdict verdict = check_field(type, &cursor, trail, e);

		if (verdict != DECODE_OK)
			return verdict;
	}
	return DECODE_OK;
}

enum decode_verdict decode_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
				 size_t size, struct err *e)
{
	const struct trail root = { NULL, NULL, 0 };
	const struct cursor cursor = { bytes, bytes + size };

	return check_message(type, cursor, &root, e);
}
