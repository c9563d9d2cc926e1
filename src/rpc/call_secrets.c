/* Taking the secrets out of a message, by its descriptor. */
#include "rpc/call_secrets.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
						  const char *name, ProtobufCType field_type)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(type, name);

	return field && field->type == field_type ? field : NULL;
}

static const char *text_of(const ProtobufCMessage *entry, const char *name)
{
	const ProtobufCFieldDescriptor *field =
		find_field(entry->descriptor, name, PROTOBUF_C_TYPE_STRING);
	const char *text = NULL;

	if (field)
		memcpy(&text, (const char *)entry + field->offset, sizeof(text));
	return text ? text : "";
}

int call_secrets_take(struct call_secrets *secrets, ProtobufCMessage *message,
		      ProtobufCAllocator *allocator, struct err *e)
{
	const ProtobufCFieldDescriptor *field =
		find_field(message->descriptor, "secrets", PROTOBUF_C_TYPE_MESSAGE);
	ProtobufCMessage **entries;
	size_t count;

	*secrets = (struct call_secrets){ 0 };
	if (!field || field->label != PROTOBUF_C_LABEL_REPEATED)
		return 0;
	char *count_at = (char *)message + field->quantifier_offset;
	char *entries_at = (char *)message + field->offset;
	memcpy(&count, count_at, sizeof(count));
	memcpy(&entries, entries_at, sizeof(ProtobufCMessage **));
	if (count == 0)
		return 0;
	if (count > CALL_SECRETS_MAX)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "field 'secrets' has %zu entries, more than %d", count,
			       CALL_SECRETS_MAX);
	memset(count_at, 0, sizeof(count));
	memset(entries_at, 0, sizeof(ProtobufCMessage **));

	secrets->all = xcalloc(count, sizeof(*secrets->all));
	secrets->count = count;
	for (size_t i = 0; i < count; i++) {
		const char *value = text_of(entries[i], "value");

		secrets->all[i].name = xstrdup(text_of(entries[i], "key"));
		secrets->all[i].value = secret_new(value, strlen(value));
		protobuf_c_message_free_unpacked(entries[i], allocator);
	}
	allocator->free(allocator->allocator_data, entries);
	return 0;
}

const struct secret *call_secrets_find(const struct call_secrets *secrets, const char *name)
{
	for (size_t i = secrets->count; i-- > 0;) {
		if (strcmp(secrets->all[i].name, name) == 0)
			return secrets->all[i].value;
	}
	return NULL;
}

void call_secrets_free(struct call_secrets *secrets)
{
	for (size_t i = 0; i < secrets->count; i++) {
		/* A name is no secret, unless somebody got the fields the wrong way round. */
		secret_wipe(secrets->all[i].name, strlen(secrets->all[i].name));
		free(secrets->all[i].name);
		secret_free(secrets->all[i].value);
	}
	free(secrets->all);
	*secrets = (struct call_secrets){ 0 };
}
