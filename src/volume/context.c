/* Volume contexts, read. */
#include "volume/context.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

/* It put the size beside the parameters, and once named the Secret with the S3 keys twice. */
static bool is_of_the_go_driver(const char *key)
{
	static const char *const keys[] = { "capacity", "s3-secret-access-key-secret-name",
					    "s3-secret-access-key-secret-namespace" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

/* "PARENT" of "PARENT/ID"; NULL: it is not that. */
static char *parent_of(const char *path, const char *id)
{
	const char *slash = strrchr(path, '/');

	return slash && slash != path && strcmp(slash + 1, id) == 0
		       ? xasprintf("%.*s", (int)(slash - path), path)
		       : NULL;
}

int context_parse(struct text_pair pairs[], size_t count, const char *id, struct params *ret_params,
		  struct err *e)
{
	auto_free char *parent = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (is_of_the_go_driver(pairs[i].key))
			continue;
		pairs[kept] = pairs[i];
		if (!parent && strcmp(pairs[i].key, param_rules[PARAM_LOCAL_PATH].key) == 0) {
			parent = parent_of(pairs[i].value, id);
			if (parent)
				pairs[kept].value = parent;
		}
		kept++;
	}
	return params_parse(pairs, kept, ret_params, e);
}

const enum param context_of_use[CONTEXT_OF_USE_COUNT] = { PARAM_PASSPHRASE_KEY, PARAM_FS_GROUP,
							  PARAM_FS_MODE };
