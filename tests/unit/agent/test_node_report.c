/* agent/node_report: what is found on this machine. */
#include "agent/node_report.h"

#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "agent/node_mounts.h"
#include "unit.h"

#include "folder.h"

struct world {
	struct folder state, images;
	const char *allowed[1];
	struct node node;
	struct store *store;
};

static void world_open(struct world *w)
{
	struct err e = { 0 };

	memset(w, 0, sizeof(*w));
	folder_open(&w->state);
	folder_open(&w->images);
	w->allowed[0] = w->images.path;
	w->node = (struct node){ .id = "node-a",
				 .host_root = "/",
				 .state_dir = w->state.path,
				 .run_dir = w->state.path,
				 .allow_paths = w->allowed,
				 .allow_count = 1 };
	w->store = store_dir_open(w->state.path, &e);
	assert_non_null(w->store);
}

static void world_close(struct world *w)
{
	store_close(w->store);
	folder_close(&w->state);
	folder_close(&w->images);
}

/* A volume's folder with an image in it. */
static void make_image(struct world *w, const char *id)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", w->images.path, id);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s/luks-%s.img", w->images.path, id, id);
	auto_close int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
}

static void make_record(struct world *w, const char *id, const char *node, const char *backend)
{
	auto_record struct volume_record record = { .state = VOLUME_RESERVED,
						    .capacity_bytes = 4096,
						    .created = "2026-11-23T05:09:00Z" };
	const struct text_pair pairs[] = {
		{ "storage-backend", backend },
		*backend == 'l' ? (struct text_pair){ "local-path", w->images.path }
				: (struct text_pair){ "s3-bucket", "abc" },
	};
	struct err e = { 0 };

	snprintf(record.id, sizeof(record.id), "%s", id);
	snprintf(record.node, sizeof(record.node), "%s", node);
	assert_int_equal(params_parse(pairs, 2, &record.params, &e), 0);
	if (store_put(w->store, &record, &e) < 0)
		fail_msg("%s", e.msg);
}

static void look(struct world *w, struct node_room *room)
{
	struct err e = { 0 };

	if (node_report_look(&w->node, w->store, room, &e) < 0)
		fail_msg("%s", e.msg);
}

static void volumes_of_this_node_are_counted(void **state)
{
	auto_node_room struct node_room room = { 0 };
	struct world w;

	(void)state;
	world_open(&w);
	make_record(&w, "a", "node-a", "local");
	make_record(&w, "b", "node-b", "local");
	make_record(&w, "c", "node-a", "s3");
	look(&w, &room);
	assert_int_equal(room.volumes, 2);
	assert_string_equal(room.name, "node-a");
	assert_string_equal(room.driver_version, PROGRAM_VERSION);
	assert_false(node_room_is_stale(&room, time(NULL)));
	assert_int_equal(room.allowed.count, 1);
	assert_string_equal(room.allowed.all[0], w.images.path);
	world_close(&w);
}

static bool is_unknown(const struct world *w, const struct node_room *room, const char *id)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", w->images.path, id);
	for (size_t i = 0; i < room->unknown.count; i++)
		if (strcmp(room->unknown.all[i], path) == 0)
			return true;
	return false;
}

static void images_without_a_record_are_told(void **state)
{
	static const char *const ids[] = { "mine", "other-node", "in-s3", "lost", "damaged" };
	auto_node_room struct node_room room = { 0 };
	struct world w;

	(void)state;
	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		make_image(&w, ids[i]);
	make_record(&w, "mine", "node-a", "local");
	make_record(&w, "other-node", "node-b", "local");
	make_record(&w, "in-s3", "node-a", "s3");
	auto_close int folder = openat(w.state.fd, "volumes", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int file = openat(folder, "damaged.json", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	look(&w, &room);
	assert_false(is_unknown(&w, &room, "mine"));
	assert_false(is_unknown(&w, &room, "damaged"));
	assert_true(is_unknown(&w, &room, "other-node"));
	assert_true(is_unknown(&w, &room, "in-s3"));
	assert_true(is_unknown(&w, &room, "lost"));
	/* Told, and left where they are. */
	assert_int_equal(folder_count(&w.images), ARRAY_LEN(ids));
	world_close(&w);
}

/* What the engine would say when the volume is made, give or take what others write meanwhile. */
static void compare_with_engine(const struct world *w, const struct node_room *room)
{
	const char *path = room->filesystems[0].mount_point;
	uint64_t room_bytes = node_room_free(room, path), engine_bytes;
	struct err e = { 0 };

	assert_int_equal(local_free_bytes(&w->node, path, &engine_bytes, &e), 0);
	uint64_t difference =
		room_bytes > engine_bytes ? room_bytes - engine_bytes : engine_bytes - room_bytes;
	assert_true(difference < 1u << 30);
}

static void file_systems_are_what_the_kernel_says(void **state)
{
	struct node_mount mounts[NODE_ROOM_FILESYSTEMS_MAX];
	auto_mount_table struct mount_table table = { 0 };
	auto_node_room struct node_room room = { 0 };
	struct err e = { 0 };
	struct world w;

	(void)state;
	world_open(&w);
	w.node.allow_count = 0;
	look(&w, &room);
	assert_int_equal(mount_table_read(&table, &e), 0);
	/* Files that are mounted upon files, as containers have, and hidden mounts are left out. */
	assert_true(room.filesystem_count <= node_mounts_select(&table, &w.node, mounts));
	const struct mount_entry *root = mount_table_at(&table, "/");
	bool is_ext4 = strcmp(root->type, "ext4") == 0 && mount_has_option(root->options, "rw");
	if (is_ext4)
		assert_string_equal(room.filesystems[0].mount_point, "/");
	for (size_t i = 0; i < room.filesystem_count; i++) {
		const struct node_filesystem *one = &room.filesystems[i];

		assert_string_equal(mount_table_at(&table, one->mount_point)->type, one->type);
		assert_string_not_equal(one->type, "overlay");
		assert_true(one->capacity_bytes > 0);
		assert_true(one->free_bytes <= one->capacity_bytes);
	}
	if (room.filesystem_count > 0)
		compare_with_engine(&w, &room);
	world_close(&w);
}

static bool is_reported(struct world *w, const char *place)
{
	auto_node_room struct node_room room = { 0 };
	bool found = false;

	look(w, &room);
	for (size_t i = 0; i < room.filesystem_count; i++)
		found = found || strcmp(room.filesystems[i].mount_point, place) == 0;
	return found;
}

/* <sys/mount.h> is one of ours. */
static void mount_here(const char *source, const char *target, const char *type, unsigned flags)
{
	assert_int_equal(syscall(SYS_mount, source, target, type, flags, NULL), 0);
}

/* In mounts of its own, as root: a bind of a folder is a file system like any other. */
static void a_mount_that_is_hidden_is_not_reported(void **state)
{
	struct world w;
	char below[80];

	(void)state;
	world_open(&w);
	w.node.allow_count = 0;
	snprintf(below, sizeof(below), "%s/below", w.images.path);
	assert_int_equal(mkdir(below, 0700), 0);
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	mount_here("none", "/", NULL, MS_REC | MS_PRIVATE);
	mount_here(below, below, NULL, MS_BIND);
	bool is_disk = is_reported(&w, "/");
	assert_int_equal(is_reported(&w, below), is_disk);
	mount_here("none", w.images.path, "tmpfs", 0);
	assert_false(is_reported(&w, below));
	/* Its folder is there again, of another file system. */
	assert_int_equal(mkdir(below, 0700), 0);
	assert_false(is_reported(&w, below));
	assert_int_equal(syscall(SYS_umount2, w.images.path, 0), 0);
	assert_int_equal(syscall(SYS_umount2, below, 0), 0);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(volumes_of_this_node_are_counted),
		cmocka_unit_test(images_without_a_record_are_told),
		cmocka_unit_test(file_systems_are_what_the_kernel_says),
		cmocka_unit_test(a_mount_that_is_hidden_is_not_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
