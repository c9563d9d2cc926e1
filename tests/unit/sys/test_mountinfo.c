/* sys/mountinfo: the file that says what is mounted. */
#include "sys/mountinfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/macros.h"
#include "unit.h"

static const char text[] =
	"21 1 0:19 / / rw,relatime shared:1 master:2 - overlay overlay rw,lowerdir=/a\n"
	"30 21 253:0 / /var/lib/kubelet/a\\040b rw,noatime - ext4 /dev/mapper/luks-x rw\n"
	"31 30 253:0 /sub /var/lib/kubelet/bind ro,relatime shared:7 - ext4 /dev/mapper/luks-x rw\n"
	"32 21 0:5 /dm-0 /mnt/block\\134x rw - devtmpfs  rw,size=4k\n"
	"33 30 253:1 / /var/lib/kubelet/a\\040b ro - xfs /dev/dm-1 ro,attr2\n";

static void fields_are_read_and_unescaped(void **state)
{
	struct mount_table table = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(mount_table_parse(text, &table, &e), 0);
	assert_int_equal(table.count, 5);
	assert_string_equal(table.entries[1].target, "/var/lib/kubelet/a b");
	assert_true(table.entries[1].device == makedev(253, 0));
	assert_string_equal(table.entries[2].root, "/sub");
	assert_true(table.entries[0].shared);
	assert_false(table.entries[1].shared);
	assert_string_equal(table.entries[3].target, "/mnt/block\\x");
	assert_string_equal(table.entries[3].type, "devtmpfs");
	assert_string_equal(table.entries[3].source, "");
	assert_string_equal(table.entries[3].super_options, "rw,size=4k");
	mount_table_done(&table);
}

static void the_topmost_mount_counts(void **state)
{
	struct mount_table table = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(mount_table_parse(text, &table, &e), 0);
	assert_string_equal(mount_table_at(&table, "/var/lib/kubelet/a b")->type, "xfs");
	assert_null(mount_table_at(&table, "/var/lib/kubelet"));
	assert_string_equal(mount_table_covering(&table, "/var/lib/kubelet/bind/x")->target,
			    "/var/lib/kubelet/bind");
	assert_string_equal(mount_table_covering(&table, "/var/lib/kubelet/bindx")->target, "/");
	mount_table_done(&table);
}

static void broken_lines_are_refused_by_number(void **state)
{
	static const char *const bad[] = { "x\n",
					   "1 2 3:4\n",
					   "1 2 3:4 / / rw\n",
					   "1 2 3:4 / / rw shared:1 -\n",
					   "1 2 3 / / rw - ext4 d rw\n",
					   "1 2 -3:4 / / rw - ext4 d rw\n",
					   "1 2 3:99999999999 / / rw - ext4 d rw\n",
					   "\n1 2 3:4 / / rw - ext4 d rw\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct mount_table table = { 0 };
		struct err e = { 0 };

		assert_int_equal(mount_table_parse(bad[i], &table, &e), -1);
		assert_non_null(strstr(e.msg, "line 1"));
	}
}

static void options_are_whole_words(void **state)
{
	(void)state;
	assert_true(mount_has_option("rw,noatime", "rw"));
	assert_true(mount_has_option("rw,noatime", "noatime"));
	assert_false(mount_has_option("rw,noatime", "atime"));
	assert_false(mount_has_option("errors=remount-ro", "ro"));
	assert_false(mount_has_option("", "ro"));
}

static void a_long_table_is_read_whole(void **state)
{
	enum { LINES = 2000 };
	char *lines = malloc(LINES * 128), *at = lines;
	struct mount_table table = { 0 };
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < LINES; i++)
		at += sprintf(at,
			      "%d 21 253:%d / /var/lib/kubelet/pods/%d rw shared:%d - ext4 d rw\n",
			      i + 30, i % 256, i, i);
	assert_int_equal(mount_table_parse(lines, &table, &e), 0);
	assert_int_equal(table.count, LINES);
	assert_string_equal(table.entries[LINES - 1].target, "/var/lib/kubelet/pods/1999");
	mount_table_done(&table);
	free(lines);
}

static void this_machine_can_be_read(void **state)
{
	struct mount_table table = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(mount_table_read(&table, &e), 0);
	assert_non_null(mount_table_at(&table, "/"));
	mount_table_done(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_read_and_unescaped),
		cmocka_unit_test(the_topmost_mount_counts),
		cmocka_unit_test(broken_lines_are_refused_by_number),
		cmocka_unit_test(options_are_whole_words),
		cmocka_unit_test(a_long_table_is_read_whole),
		cmocka_unit_test(this_machine_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
