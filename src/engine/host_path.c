/* Paths below --host-root. */
#include "engine/host_path.h"

#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

static size_t root_length(const struct node *node)
{
	size_t length = strlen(node->host_root);

	while (length > 0 && node->host_root[length - 1] == '/')
		length--;
	return length;
}

char *host_path_here(const struct node *node, const char *host_path)
{
	return xasprintf("%.*s%s", (int)root_length(node), node->host_root, host_path);
}

const char *host_path_of(const struct node *node, const char *path)
{
	size_t length = root_length(node);

	if (!path_is_within(path, node->host_root))
		return NULL;
	return path[length] ? path + length : "/";
}
