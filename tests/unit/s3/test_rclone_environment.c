/* s3/rclone_environment: rclone believes variables more than its configuration: few are passed. */
#include "s3/rclone_environment.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

static const char *find(char *environment[], const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; environment[i]; i++)
		if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=')
			return environment[i] + length + 1;
	return NULL;
}

static void only_what_is_named_is_passed(void **state)
{
	static const char *const refused[] = { "AWS_CA_BUNDLE",	       "AWS_ACCESS_KEY_ID",
					       "RCLONE_S3_ENDPOINT",   "RCLONE_CONFIG",
					       "RCLONE_CONFIG_C_TYPE", "LD_PRELOAD_X" };
	char *environment[RCLONE_ENVIRONMENT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(setenv(refused[i], "x", 1), 0);
	assert_int_equal(setenv("HTTPS_PROXY", "http://proxy:3128", 1), 0);
	assert_int_equal(setenv("GOMEMLIMIT", "1KiB", 1), 0);
	rclone_environment_fill(environment, "/n.sock", 96 << 20);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_null(find(environment, refused[i]));
	assert_string_equal(find(environment, "HTTPS_PROXY"), "http://proxy:3128");
	assert_string_equal(find(environment, "GOMEMLIMIT"), "100663296B");
	assert_string_equal(find(environment, "NOTIFY_SOCKET"), "/n.sock");
	rclone_environment_free(environment);
	rclone_environment_fill(environment, NULL, 0);
	assert_string_equal(find(environment, "GOMEMLIMIT"), "268435456B");
	assert_null(find(environment, "NOTIFY_SOCKET"));
	rclone_environment_free(environment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_named_is_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
