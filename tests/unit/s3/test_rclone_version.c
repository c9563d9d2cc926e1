/* s3/rclone_version: which rclone is good enough. */
#include "s3/rclone_version.h"

#include <string.h>

#include "unit.h"

static void versions_that_keep_data_are_taken(void **state)
{
	static const char *const good[] = {
		"rclone v1.76.0\n- os/version: debian 12",
		"rclone v1.69.2\n",
		"rclone v1.75.0-DEV\n",
		"rclone v2.0.0\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct err e = { 0 };

		assert_int_equal(rclone_version_check(good[i], &e), 0);
	}
}

static void old_ones_and_other_programs_are_refused(void **state)
{
	static const char *const bad[] = {
		"rclone v1.60.1-DEV\n", "rclone v1.69.1\n", "", "rclone\n",
		"busybox v1.76.0\n",	"rclone vx.y.z\n"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		assert_int_equal(rclone_version_check(bad[i], &e), -1);
		assert_int_equal(e.code, ERR_FAILED_PRECONDITION);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_that_keep_data_are_taken),
		cmocka_unit_test(old_ones_and_other_programs_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
