/* rclone's environment. */
#include "s3/rclone_environment.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/macros.h"
#include "base/mem.h"

void rclone_environment_fill(char *environment[RCLONE_ENVIRONMENT_MAX], const char *notify_socket,
			     uint64_t memory_limit)
{
	static const char *const passed[] = { "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY",
					      "HTTP_PROXY",    "NO_PROXY",     "https_proxy",
					      "http_proxy",    "no_proxy" };
	size_t count = 0;

	_Static_assert(ARRAY_LEN(passed) + 5 <= RCLONE_ENVIRONMENT_MAX, "too many variables");
	environment[count++] = xstrdup("HOME=/nonexistent");
	environment[count++] = xstrdup("PATH=/usr/bin:/bin");
	/* The heap of Go gives memory back before the container's limit is near. */
	environment[count++] = xasprintf("GOMEMLIMIT=%" PRIu64 "B",
					 memory_limit ? memory_limit : (uint64_t)256 << 20);
	if (notify_socket)
		environment[count++] = xasprintf("NOTIFY_SOCKET=%s", notify_socket);
	for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
		const char *value = getenv(passed[i]);

		if (value)
			environment[count++] = xasprintf("%s=%s", passed[i], value);
	}
	environment[count] = NULL;
}

void rclone_environment_free(char *environment[RCLONE_ENVIRONMENT_MAX])
{
	for (size_t i = 0; environment[i]; i++)
		free(environment[i]);
}
