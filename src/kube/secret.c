/* Secrets of the cluster. */
#include "kube/secret.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"

/* jansson's own copy of the text goes, too. */
static void wipe_text(const json_t *value)
{
	const char *text = json_string_value(value);

	if (text)
		secret_wipe((char *)(uintptr_t)text, strlen(text));
}

static struct secret *decode(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t size = 0;
	void *bytes = text ? base64_decode(text, &size) : NULL;

	if (!bytes)
		return NULL;
	struct secret *secret = secret_new(bytes, size);
	secret_wipe(bytes, size);
	free(bytes);
	return secret;
}

int kube_get_secret(struct kube_client *client, const char *name_space, const char *name,
		    const char *const keys[], struct secret *ret_values[], size_t count,
		    struct err *e)
{
	auto_free char *folder = xasprintf("/api/v1/namespaces/%s/secrets", name_space);
	auto_free char *path = kube_path(folder, name, NULL, NULL);
	json_t *object = NULL, *data, *value;
	const char *bad = NULL, *key;

	if (kube_get(client, path, &object, e) < 0)
		return -1;
	data = json_object_get(object, "data");
	for (size_t i = 0; i < count; i++) {
		value = json_object_get(data, keys[i]);
		ret_values[i] = decode(value);
		if (value && !ret_values[i])
			bad = keys[i];
	}
	json_object_foreach(data, key, value)
	{
		wipe_text(value);
	}
	json_decref(object);
	if (!bad)
		return 0;
	for (size_t i = 0; i < count; i++)
		secret_free(TAKE(ret_values[i], NULL));
	return err_set(e, ERR_FAILED_PRECONDITION, "key '%s' of Secret '%s/%s' is not base64", bad,
		       name_space, name);
}
