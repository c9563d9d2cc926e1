/* Paths, queries, and lists in pages. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/client.h"

enum { PAGE = 500 };

/* Owned by the caller. */
static char *percent_encode(const char *text)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	char *encoded = xcalloc(3 * strlen(text) + 1, 1), *at = encoded;

	for (; *text; text++) {
		if (strchr(plain, *text)) {
			*at++ = *text;
			continue;
		}
		*at++ = '%';
		*at++ = hex[(unsigned char)*text >> 4];
		*at++ = hex[(unsigned char)*text & 15];
	}
	return encoded;
}

char *kube_query(const char *key, const char *value)
{
	auto_free char *encoded = percent_encode(value);

	return xasprintf("%s=%s", key, encoded);
}

char *kube_path(const char *resource, const char *name, const char *subresource, const char *query)
{
	auto_free char *encoded = percent_encode(name ? name : "");

	return xasprintf("%s%s%s%s%s%s%s", resource, name ? "/" : "", encoded,
			 subresource ? "/" : "", subresource ? subresource : "", query ? "?" : "",
			 query ? query : "");
}

char *kube_page_path(const char *resource, const char *query, int limit, const char *next)
{
	auto_free char *from = kube_query("continue", next ? next : "");

	return xasprintf("%s?limit=%d%s%s%s%s", resource, limit, query ? "&" : "",
			 query ? query : "", next ? "&" : "", next ? from : "");
}

char *kube_watch_path(const char *resource, const char *query, const char *version, int64_t seconds)
{
	auto_free char *from = kube_query("resourceVersion", version);

	return xasprintf("%s?watch=true&allowWatchBookmarks=true&timeoutSeconds=%lld&%s%s%s",
			 resource, (long long)seconds, from, query ? "&" : "", query ? query : "");
}

int kube_list(struct kube_client *client, const char *resource, const char *query,
	      int (*each)(void *data, const json_t *object, struct err *e), void *data,
	      struct err *e)
{
	auto_free char *next = NULL;

	do {
		auto_free char *path = kube_page_path(resource, query, PAGE, next);
		auto_json json_t *page = NULL;
		json_t *object;
		size_t at;

		if (kube_get(client, path, &page, e) < 0)
			return -1;
		json_array_foreach(json_object_get(page, "items"), at, object)
		{
			if (each(data, object, e) < 0)
				return -1;
		}
		const char *token = json_string_value(
			json_object_get(json_object_get(page, "metadata"), "continue"));
		free(next);
		next = token && *token ? xstrdup(token) : NULL;
	} while (next);
	return 0;
}
