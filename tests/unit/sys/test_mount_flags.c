/* sys/mount_flags: which flags go where, and which nowhere. */
#include <linux/mount.h>
#include <string.h>

#include "base/macros.h"
#include "sys/mount.h"
#include "sys/mount_flags.h"
#include "unit.h"

static void flags_are_sorted(void **state)
{
	(void)state;
	assert_int_equal(mount_flag_sort("rw").kind, MOUNT_FLAG_NONE);
	assert_int_equal(mount_flag_sort("noexec").kind, MOUNT_FLAG_ATTRIBUTE);
	assert_true(mount_flag_sort("noatime").set == MOUNT_ATTR_NOATIME);
	assert_int_equal(mount_flag_sort("commit=5").kind, MOUNT_FLAG_FILESYSTEM);
	assert_int_equal(mount_flag_sort("discard").kind, MOUNT_FLAG_FILESYSTEM);
	assert_int_equal(mount_flag_sort("bind").kind, MOUNT_FLAG_FORBIDDEN);
	assert_int_equal(mount_flag_sort("logdev=/dev/sda").kind, MOUNT_FLAG_FORBIDDEN);
}

static void bad_flags_are_named(void **state)
{
	static const char *const bad[] = { "",	   "=x",   "a b",     "a,b",
					   "a\nb", "bind", "remount", "source=/dev/sda" };
	const char *good[] = { "noatime", "commit=5" };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(mount_flags_check(good, ARRAY_LEN(good), &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(mount_flags_check(&bad[i], 1, &e), -1);
		assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
	}
	assert_int_equal(mount_flags_check(&bad[5], 1, &e), -1);
	assert_non_null(strstr(e.msg, "'bind'"));
}

static void a_mount_is_compared_with_its_flags(void **state)
{
	static const char *const hard[] = { "noexec", "commit=5", "noatime" };
	static const char *const none[] = { "rw", "defaults" };

	(void)state;
	assert_true(mount_flags_match(hard, 3, "", "rw,noexec,noatime"));
	assert_false(mount_flags_match(hard, 3, "", "rw,relatime"));
	assert_true(mount_flags_match(none, 2, "", "rw,relatime"));
	assert_false(mount_flags_match(none, 2, "", "ro,relatime"));
	assert_true(mount_flags_match(NULL, 0, "", "rw"));
	/* A bind keeps what was staged, and may be read-only for other reasons. */
	assert_true(mount_flags_match(NULL, 0, "rw,noexec", "ro,noexec"));
	assert_true(mount_flags_match(hard, 3, "rw,nosuid", "rw,nosuid,noexec"));
	assert_false(mount_flags_match(hard, 3, "rw,nosuid", "rw,nosuid"));
	assert_false(mount_flags_match(NULL, 0, "rw,relatime", "rw,nodev"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_are_sorted),
		cmocka_unit_test(bad_flags_are_named),
		cmocka_unit_test(a_mount_is_compared_with_its_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
