/* agent/node_mounts: which mounts of a host can hold images. */
#include "agent/node_mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "base/mem.h"
#include "unit.h"

/* As the container of the driver sees a node whose root is mounted at /host. */
static const char node_text[] =
	"10 1 0:50 / / rw - overlay overlay rw\n"
	"11 10 8:1 /etc/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n"
	"12 10 8:1 /var/lib/kubelet /var/lib/kubelet rw shared:1 - ext4 /dev/sda1 rw\n"
	"20 10 8:1 / /host rw shared:2 - ext4 /dev/sda1 rw\n"
	"21 20 0:5 / /host/proc rw - proc proc rw\n"
	"22 20 0:6 / /host/tmp rw - tmpfs tmpfs rw\n"
	"23 20 8:2 / /host/boot rw - ext4 /dev/sda2 rw\n"
	"24 20 8:17 / /host/data rw - xfs /dev/sdb1 rw\n"
	"25 20 7:0 / /host/snap/x/1 ro - squashfs /dev/loop0 ro\n"
	"26 20 8:33 / /host/archive ro - ext4 /dev/sdc1 rw\n"
	"27 20 8:34 / /host/broken rw - ext4 /dev/sdc2 ro,errors=remount-ro\n"
	"28 20 0:60 / /host/srv/nfs rw - nfs4 server:/x rw\n"
	"29 28 8:49 / /host/srv/nfs/disk rw - ext4 /dev/sdd1 rw\n"
	"30 20 0:61 / /host/mnt/fuse rw - fuse.sshfs x rw\n"
	"31 20 0:62 / /host/auto rw - autofs systemd-1 rw\n"
	"32 31 8:65 / /host/auto rw - ext4 /dev/sde1 rw\n"
	"33 20 253:0 / /host/var/lib/kubelet/pods/1/volumes/x rw - ext4 /dev/mapper/luks-x rw\n"
	"34 20 253:1 / /host/var/lib/lukscryptwalker/cache/x rw - ext4 /dev/mapper/luks-y rw\n"
	"35 20 0:63 / /host/var/lib/containers/1/merged rw - overlay overlay rw\n"
	"36 20 8:18 / /host/hidden rw - ext4 /dev/sdb2 rw\n"
	"37 36 0:64 / /host/hidden rw - tmpfs tmpfs rw\n"
	"38 20 0:70 / /host/tank rw - zfs tank rw\n";

static const struct node node = {
	.id = "node-a",
	.host_root = "/host",
	.state_dir = "/var/lib/lukscryptwalker",
	.run_dir = "/run/lukscryptwalker",
	.kubelet = { .given = "/var/lib/kubelet", .resolved = "/var/lib/kubelet" },
};

/* The places, with spaces between them; owned by the caller. */
static char *chosen(const char *text, const struct node *of)
{
	struct node_mount mounts[NODE_ROOM_FILESYSTEMS_MAX];
	auto_mount_table struct mount_table table = { 0 };
	struct err e = { 0 };
	char *list = xstrdup("");

	assert_int_equal(mount_table_parse(text, &table, &e), 0);
	size_t count = node_mounts_select(&table, of, mounts);
	for (size_t i = 0; i < count; i++) {
		char *longer = xasprintf("%s%s%s", list, i ? " " : "", mounts[i].place);

		free(list);
		list = longer;
	}
	return list;
}

static void only_disks_of_the_host_are_chosen(void **state)
{
	auto_free char *found = chosen(node_text, &node);

	(void)state;
	assert_string_equal(found, "/ /auto /data /tank");
}

static void allowed_paths_do_not_hide_the_mount_above_them(void **state)
{
	static const char *const allowed[] = { "/data/volumes" };
	struct node narrow = node;

	(void)state;
	narrow.allow_paths = allowed;
	narrow.allow_count = 1;
	auto_free char *found = chosen(node_text, &narrow);
	assert_string_equal(found, "/ /auto /data /tank");
}

static void without_a_container_all_of_the_namespace_is_the_host(void **state)
{
	static const char text[] = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
				   "24 20 8:17 / /data rw - xfs /dev/sdb1 rw\n"
				   "25 20 8:18 / /var/lib/kubelet/a rw - xfs /dev/sdb2 rw\n"
				   "26 20 8:19 / /data2 rw - btrfs /dev/sdb3 rw\n";
	struct node plain = node;

	(void)state;
	plain.host_root = "/";
	auto_free char *found = chosen(text, &plain);
	assert_string_equal(found, "/ /data /data2");
}

static void the_root_of_the_host_need_not_be_a_mount_point(void **state)
{
	static const char text[] = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
				   "23 20 8:16 / /hostile rw - xfs /dev/sdb rw\n"
				   "24 20 8:17 / /host/data rw - xfs /dev/sdb1 rw\n";

	(void)state;
	auto_free char *found = chosen(text, &node);
	assert_string_equal(found, "/ /data");
}

static void the_shortest_paths_come_first_and_64_are_enough(void **state)
{
	auto_free char *text = xstrdup("");

	(void)state;
	for (int i = 70; i > 0; i--) {
		char *longer = xasprintf("%s%d 1 8:%d / /host/%0*d rw - ext4 /dev/x rw\n", text,
					 i + 100, i, i, 7);

		free(text);
		text = longer;
	}
	auto_free char *found = chosen(text, &node);
	assert_memory_equal(found, "/7 /07 /007 /0007 ", 18);
	const char *last = strrchr(found, '/');
	assert_int_equal(strlen(last + 1), 64);
}

static bool answers(const char *path)
{
	auto_mount_table struct mount_table table = { 0 };
	struct err e = { 0 };

	assert_int_equal(mount_table_parse(node_text, &table, &e), 0);
	return node_mounts_answer(&table, &node, path);
}

static void what_a_network_serves_is_not_asked(void **state)
{
	(void)state;
	assert_true(answers("/opt/local-path-provisioner"));
	assert_true(answers("/data/volumes"));
	assert_true(answers("/tmp/volumes"));
	assert_true(answers("/srv"));
	assert_false(answers("/srv/nfs/volumes"));
	assert_false(answers("/srv/nfs/disk/volumes"));
	assert_false(answers("/mnt/fuse"));
}

static void a_loop_of_parents_ends(void **state)
{
	static const char text[] = "20 21 8:1 / /host rw - ext4 /dev/sda1 rw\n"
				   "21 20 8:17 / /host/data rw - xfs /dev/sdb1 rw\n";

	(void)state;
	auto_free char *found = chosen(text, &node);
	assert_string_equal(found, "/ /data");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_disks_of_the_host_are_chosen),
		cmocka_unit_test(allowed_paths_do_not_hide_the_mount_above_them),
		cmocka_unit_test(without_a_container_all_of_the_namespace_is_the_host),
		cmocka_unit_test(the_root_of_the_host_need_not_be_a_mount_point),
		cmocka_unit_test(the_shortest_paths_come_first_and_64_are_enough),
		cmocka_unit_test(what_a_network_serves_is_not_asked),
		cmocka_unit_test(a_loop_of_parents_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
