/* Loading libcryptsetup. */
#include "sys/luks_library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char soname[] = "libcryptsetup.so.12";

static int find(void *handle, const char *name, void *ret_function, struct err *e)
{
	void *symbol = dlsym(handle, name);

	if (!symbol)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "%s on this node is too old: it has no %s", soname, name);
	memcpy(ret_function, &symbol, sizeof(symbol));
	return 0;
}

/* Without one the library prints to our standard error. */
static void say_nothing(int level, const char *line, void *data)
{
	(void)level;
	(void)line;
	(void)data;
}

const struct luks_library *luks_library(struct err *e)
{
	static struct luks_library library;
	static bool loaded;

	if (loaded)
		return &library;
	setenv("DM_DISABLE_UDEV", "1", 1);
	void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		err_set(e, ERR_FAILED_PRECONDITION,
			"cannot load %s (%s): install cryptsetup on this node", soname, dlerror());
		return NULL;
	}
#define LUKS_LIBRARY_FIND(name)                                                                    \
	if (find(handle, #name, &library.name, e) < 0)                                             \
		return NULL;
	LUKS_LIBRARY_FUNCTIONS(LUKS_LIBRARY_FIND)
#undef LUKS_LIBRARY_FIND
	/* The volume's own lock covers it, and /run/cryptsetup may not exist in a container. */
	library.crypt_metadata_locking(NULL, 0);
	library.crypt_set_log_callback(NULL, say_nothing, NULL);
	loaded = true;
	return &library;
}
