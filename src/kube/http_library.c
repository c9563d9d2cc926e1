/* Loading libcurl. */
#include "kube/http_library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

static const char *const sonames[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };

static int find(void *handle, const char *name, void *ret_function, struct err *e)
{
	void *symbol = dlsym(handle, name);

	if (!symbol)
		return err_set(e, ERR_FAILED_PRECONDITION, "libcurl here is too old: it has no %s",
			       name);
	memcpy(ret_function, &symbol, sizeof(symbol));
	return 0;
}

const struct http_library *http_library(struct err *e)
{
	static struct http_library library;
	static bool loaded;
	void *handle = NULL;

	if (loaded)
		return &library;
	for (size_t i = 0; i < ARRAY_LEN(sonames) && !handle; i++)
		handle = dlopen(sonames[i], RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		err_set(e, ERR_FAILED_PRECONDITION,
			"cannot load libcurl (%s): it is needed to talk to the Kubernetes API",
			dlerror());
		return NULL;
	}
#define HTTP_LIBRARY_FIND(name)                                                                    \
	if (find(handle, #name, &library.name, e) < 0)                                             \
		return NULL;
	HTTP_LIBRARY_FUNCTIONS(HTTP_LIBRARY_FIND)
#undef HTTP_LIBRARY_FIND
	if (library.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(e, ERR_INTERNAL, "libcurl does not start");
		return NULL;
	}
	loaded = true;
	return &library;
}
