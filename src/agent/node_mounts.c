/* The choice among the mounts of the host. */
#include "agent/node_mounts.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/host_path.h"

/* Images can lie on these. */
static const char *const disks[] = { "ext2", "ext3", "ext4", "xfs",	 "btrfs",
				     "zfs",  "f2fs", "jfs",  "bcachefs", "nilfs2" };
/* On these not, but a path through them does not hang either. */
static const char *const harmless[] = { "overlay",  "tmpfs",  "ramfs",	  "rootfs",
					"devtmpfs", "autofs", "squashfs", "erofs",
					"vfat",	    "exfat",  "iso9660" };

static bool is_one_of(const char *type, const char *const types[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

static bool is_disk(const struct mount_entry *entry)
{
	return is_one_of(entry->type, disks, ARRAY_LEN(disks));
}

static const struct mount_entry *parent_of(const struct mount_table *table,
					   const struct mount_entry *entry)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->entries[i].id == entry->parent_id && &table->entries[i] != entry)
			return &table->entries[i];
	return NULL;
}

/* The way to a mount leads over all that it is mounted on. */
static bool is_reachable(const struct mount_table *table, const struct mount_entry *entry)
{
	for (size_t depth = 0; entry && depth <= table->count; depth++) {
		if (!is_disk(entry) && !is_one_of(entry->type, harmless, ARRAY_LEN(harmless)))
			return false;
		entry = parent_of(table, entry);
	}
	return true;
}

bool node_mounts_answer(const struct mount_table *table, const struct node *node,
			const char *host_path)
{
	auto_free char *path = host_path_here(node, host_path);
	const struct mount_entry *entry = mount_table_covering(table, path);

	return entry && is_reachable(table, entry);
}

/* The host's root is a place for folders of volumes, and no local-path itself. */
static bool may_hold_volumes(const struct node *node, const char *place)
{
	struct node anywhere = *node;
	struct err ignored;

	if (strcmp(place, "/") == 0)
		return true;
	anywhere.allow_count = 0; /* an allowed path may lie below */
	return param_rules[PARAM_LOCAL_PATH].check(place) &&
	       local_path_check(&anywhere, place, NULL, &ignored) == 0;
}

static bool is_good(const struct mount_table *table, const struct node *node,
		    const struct mount_entry *entry, const char *place)
{
	return is_disk(entry) && !mount_has_option(entry->options, "ro") &&
	       !mount_has_option(entry->super_options, "ro") && may_hold_volumes(node, place) &&
	       is_reachable(table, entry);
}

static int by_place(const void *a, const void *b)
{
	const char *one = ((const struct node_mount *)a)->place;
	const char *other = ((const struct node_mount *)b)->place;
	size_t length = strlen(one), other_length = strlen(other);

	if (length != other_length)
		return length < other_length ? -1 : 1;
	return strcmp(one, other);
}

size_t node_mounts_select(const struct mount_table *table, const struct node *node,
			  struct node_mount ret_mounts[NODE_ROOM_FILESYSTEMS_MAX])
{
	auto_free struct node_mount *found = xcalloc(table->count + 1, sizeof(*found));
	const struct mount_entry *root = mount_table_covering(table, node->host_root);
	size_t count = 0;

	/* The host's root need not be a mount point here. */
	if (root && is_good(table, node, root, "/"))
		found[count++] = (struct node_mount){ root, "/" };
	for (size_t i = 0; i < table->count; i++) {
		const struct mount_entry *entry = &table->entries[i];
		const char *place = host_path_of(node, entry->target);

		if (place && strcmp(place, "/") != 0 && is_good(table, node, entry, place) &&
		    mount_table_at(table, entry->target) == entry)
			found[count++] = (struct node_mount){ entry, place };
	}
	qsort(found, count, sizeof(*found), by_place);
	if (count > NODE_ROOM_FILESYSTEMS_MAX)
		count = NODE_ROOM_FILESYSTEMS_MAX;
	memcpy(ret_mounts, found, count * sizeof(*found));
	return count;
}
