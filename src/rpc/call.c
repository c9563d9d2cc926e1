/* One call: from bytes to the handler and back to bytes. */
#include "rpc/call_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rpc/call_secrets.h"
#include "rpc/decode.h"
#include "rpc/frame.h"
#include "rpc/memory.h"

#define UNPACKED_LIMIT ((size_t)8 << 20)

struct rpc_call_own {
	const struct rpc_method *method;
	struct memory memory;
	ProtobufCMessage *message;
	struct call_secrets secrets;
	struct call_reply reply;
	size_t reply_limit;
};

const char *call_short_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int unpack(struct rpc_call_own *own, const uint8_t *bytes, size_t size, struct err *e)
{
	const ProtobufCMessageDescriptor *type = own->method->request;
	const char *name = call_short_name(own->method->path);
	enum decode_verdict verdict = decode_check(type, bytes, size, e);

	if (verdict == DECODE_BAD_TEXT)
		return -1;
	if (verdict == DECODE_OK)
		own->message = protobuf_c_message_unpack(type, &own->memory.allocator, size, bytes);
	if (own->message)
		return 0;
	if (own->memory.exhausted)
		return err_set(e, ERR_RESOURCE_EXHAUSTED,
			       "request of %s needs more than %zu bytes of memory", name,
			       own->memory.limit);
	return err_set(e, ERR_INVALID_ARGUMENT, "request of %s is not a valid message", name);
}

struct rpc_call *call_open(const struct rpc_method *method, int64_t deadline_ms, size_t reply_limit,
			   uint8_t *request, size_t size, struct err *e)
{
	struct rpc_call *call = xcalloc(1, sizeof(*call));
	struct rpc_call_own *own = xcalloc(1, sizeof(*own));

	own->method = method;
	own->reply_limit = reply_limit;
	memory_init(&own->memory, UNPACKED_LIMIT);
	*call = (struct rpc_call){ .service = method->service,
				   .deadline_ms = deadline_ms,
				   .own = own };
	int rc = unpack(own, request, size, e);
	secret_wipe(request, size);
	if (rc == 0)
		rc = call_secrets_take(&own->secrets, own->message, &own->memory.allocator, e);
	if (rc < 0) {
		call_close(call);
		return NULL;
	}
	call->request = own->message;
	return call;
}

void call_close(struct rpc_call *call)
{
	if (!call)
		return;
	struct rpc_call_own *own = call->own;
	if (own->message)
		protobuf_c_message_free_unpacked(own->message, &own->memory.allocator);
	call_secrets_free(&own->secrets);
	free(own->reply.buffer);
	free(own);
	free(call);
}

static const char *subject_of(const ProtobufCMessage *message)
{
	static const char *const names[] = { "volume_id", "name" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const ProtobufCFieldDescriptor *field =
			protobuf_c_message_descriptor_get_field_by_name(message->descriptor,
									names[i]);
		const char *text = NULL;

		if (!field || field->type != PROTOBUF_C_TYPE_STRING ||
		    field->label == PROTOBUF_C_LABEL_REPEATED)
			continue;
		memcpy(&text, (const char *)message + field->offset, sizeof(text));
		if (text)
			return text;
	}
	return "";
}

void call_subject(const struct rpc_call *call, char ret_subject[CALL_SUBJECT_SIZE])
{
	const char *from = subject_of(call->request);
	size_t used = 0;

	for (; *from && used < CALL_SUBJECT_SIZE - 1; from++) {
		unsigned char c = (unsigned char)*from;

		ret_subject[used++] = c < 0x20 || c == 0x7f ? '?' : *from;
	}
	ret_subject[used] = '\0';
}

int call_handle(struct rpc_call *call, struct call_reply *ret_reply, struct err *e)
{
	struct rpc_call_own *own = call->own;

	if (own->method->handle(call, e) < 0) {
		if (e->code == ERR_OK)
			err_set(e, ERR_INTERNAL, "%s failed without a reason",
				call_short_name(own->method->path));
		return -1;
	}
	if (!own->reply.buffer)
		return err_set(e, ERR_INTERNAL, "%s ended without a reply",
			       call_short_name(own->method->path));
	*ret_reply = TAKE(own->reply, ((struct call_reply){ 0 }));
	return 0;
}

int rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *reply, struct err *e)
{
	struct rpc_call_own *own = call->own;
	size_t size = protobuf_c_message_get_packed_size(reply);

	if (size > own->reply_limit)
		return err_set(e, ERR_INTERNAL,
			       "the reply has %zu bytes, more than the limit of %zu", size,
			       own->reply_limit);
	auto_free uint8_t *buffer = xcalloc(1, FRAME_PREFIX + size);
	protobuf_c_message_pack(reply, buffer + FRAME_PREFIX);
	frame_put_prefix(buffer, size);
	/* Go cannot decode a reply with other bytes in its text. */
	switch (decode_check(reply->descriptor, buffer + FRAME_PREFIX, size, e)) {
	case DECODE_OK:
		break;
	case DECODE_BAD_TEXT:
		e->code = ERR_INTERNAL;
		return err_wrap(e, "reply");
	default:
		return err_set(e, ERR_INTERNAL, "the reply is not a valid message");
	}
	free(own->reply.buffer);
	own->reply = (struct call_reply){ TAKE(buffer, NULL), size };
	return 0;
}

const struct secret *rpc_call_secret(const struct rpc_call *call, const char *name)
{
	return call_secrets_find(&call->own->secrets, name);
}

size_t rpc_call_secret_count(const struct rpc_call *call)
{
	return call->own->secrets.count;
}
