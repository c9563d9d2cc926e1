/* Looking at the node. */
#include "agent/node_report.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/node_mounts.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/host_path.h"
#include "engine/local_disk.h"
#include "engine/local_images.h"
#include "sys/fs.h"

/* A mount may be hidden under another one that was made above it later. */
static bool is_seen(int fd, const struct mount_entry *entry)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return false;
	return !(st.stx_mask & STATX_MNT_ID) || st.stx_mnt_id == (uint64_t)entry->id;
}

static void add_mount(const struct node *node, const struct node_mount *mount,
		      struct node_room *room)
{
	auto_free char *path = host_path_here(node, mount->place);
	auto_close int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct fs_usage usage;
	struct err ignored;

	if (fd < 0 || !is_seen(fd, mount->entry) || fs_usage(fd, &usage, &ignored) < 0)
		return;
	const struct node_filesystem filesystem = { .mount_point = (char *)mount->place,
						    .type = mount->entry->type,
						    .capacity_bytes = usage.total_bytes,
						    .free_bytes = usage.free_bytes };
	node_room_add_filesystem(room, &filesystem);
}

/* They have no room; else the file system above them would seem to be theirs. First: all fit. */
static void add_missing(const struct node *node, const struct mount_table *table,
			struct node_room *room)
{
	struct node_texts places = { 0 };

	local_disk_missing(node, table, &places);
	for (size_t i = 0; i < places.count; i++) {
		const struct node_filesystem absent = { .mount_point = places.all[i],
							.type = (char *)"absent" };
		node_room_add_filesystem(room, &absent);
	}
	node_texts_done(&places);
}

/* What the store knows: ids that explain an image here, and the folders of local volumes. */
struct known {
	struct node_texts ids, places; /* owned; ids sorted */
};

static void known_done(struct known *known)
{
	node_texts_done(&known->ids);
	node_texts_done(&known->places);
}

static void add_place(struct known *known, const char *place)
{
	for (size_t i = 0; i < known->places.count; i++)
		if (strcmp(known->places.all[i], place) == 0)
			return;
	node_texts_add(&known->places, place);
}

static void add_record(const struct node *node, struct store *store, const char *id,
		       struct known *known, struct node_room *room)
{
	auto_record struct volume_record record = { 0 };
	struct err why;

	if (store_get(store, id, &record, &why) < 0) {
		/* A damaged record speaks of an image all the same. */
		if (why.code != ERR_NOT_FOUND)
			node_texts_add(&known->ids, id);
		return;
	}
	if (strcmp(record.node, node->id) != 0)
		return;
	room->volumes++;
	if (params_backend(&record.params) != BACKEND_LOCAL)
		return;
	node_texts_add(&known->ids, id);
	add_place(known, record.params.value[PARAM_LOCAL_PATH]);
}

static int look_at_store(const struct node *node, struct store *store, struct known *known,
			 struct node_room *room, struct err *e)
{
	char **ids = NULL;
	size_t count = 0;
	bool more;

	if (store_list(store, "", 0, &ids, &count, &more, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		add_record(node, store, ids[i], known, room);
	store_ids_free(ids, count);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void look_at_place(const struct node *node, const struct known *known, const char *place,
			  struct node_room *room)
{
	auto_local_images struct local_images images = { 0 };
	bool has_known = false;
	struct err ignored;

	if (local_images_read(node, place, &images, &ignored) < 0)
		return;
	for (size_t i = 0; i < images.count; i++) {
		const char *id = images.all[i].id;
		auto_free char *path = xasprintf("%s/%s", place, id);

		if (known->ids.count != 0 && bsearch(&id, known->ids.all, known->ids.count,
						     sizeof(*known->ids.all), by_text))
			has_known = true;
		else
			node_room_add_unknown(room, path);
	}
	if (has_known)
		local_disk_remember(node, place);
}

int node_report_look(const struct node *node, struct store *store, struct node_room *ret_room,
		     struct err *e)
{
	__attribute__((cleanup(known_done))) struct known known = { 0 };
	auto_node_room struct node_room room = { .heartbeat = time(NULL),
						 .driver_version = PROGRAM_VERSION };
	auto_mount_table struct mount_table table = { 0 };
	struct node_mount mounts[NODE_ROOM_FILESYSTEMS_MAX];

	snprintf(room.name, sizeof(room.name), "%s", node->id);
	if (mount_table_read(&table, e) < 0 || look_at_store(node, store, &known, &room, e) < 0)
		return -1;
	add_missing(node, &table, &room);
	size_t count = node_mounts_select(&table, node, mounts);
	for (size_t i = 0; i < count; i++)
		add_mount(node, &mounts[i], &room);
	add_place(&known, param_rules[PARAM_LOCAL_PATH].initial);
	for (size_t i = 0; i < node->allow_count; i++) {
		node_room_add_allowed(&room, node->allow_paths[i]);
		add_place(&known, node->allow_paths[i]);
	}
	for (size_t i = 0; i < known.places.count; i++)
		if (node_mounts_answer(&table, node, known.places.all[i]))
			look_at_place(node, &known, known.places.all[i], &room);
	*ret_room = TAKE(room, (struct node_room){ 0 });
	return 0;
}
