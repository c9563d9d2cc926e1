/* The LUKSNode of this node. */
#include "agent/node_report.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"
#include "engine/local_images.h"
#include "kube/client.h"
#include "volume/luksvolume.h"

enum { FS_MAX = 64, UNKNOWN_MAX = 50 };

/* An overlay is what some clusters in containers have as the root of a node; elsewhere it is the
 * root of a container. */
static bool can_hold_images(const struct mount_entry *mount, const char *path)
{
	static const char *const types[] = { "ext2", "ext3", "ext4",	 "xfs", "btrfs",
					     "zfs",  "f2fs", "bcachefs", "jfs", "reiserfs" };

	if (mount_has_option(mount->options, "ro") || mount_has_option(mount->super_options, "ro"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(mount->type, types[i]) == 0)
			return true;
	return strcmp(path, "/") == 0 && strcmp(mount->type, "overlay") == 0;
}

static void add_mount(const struct mount_entry *mount, const char *path, const char *kubelet_dir,
		      struct node_room *room)
{
	if (room->fs_count < FS_MAX && !path_is_within(path, kubelet_dir) &&
	    can_hold_images(mount, path))
		node_room_add_fs(room, path, mount->type, 0, 0);
}

void node_report_mounts(const struct mount_table *mounts, const char *host_root,
			const char *kubelet_dir, struct node_room *room)
{
	bool is_root = strcmp(host_root, "/") == 0;
	size_t skip = is_root ? 0 : strlen(host_root);
	/* Below a folder that is no mount point lies what it is part of. */
	const struct mount_entry *root = mount_table_covering(mounts, host_root);

	if (root)
		add_mount(root, "/", kubelet_dir, room);
	for (size_t i = 0; i < mounts->count; i++) {
		const struct mount_entry *mount = &mounts->entries[i];

		if (strcmp(mount->target, host_root) == 0 || strcmp(mount->target, "/") == 0 ||
		    (!is_root && !path_is_within(mount->target, host_root)))
			continue;
		add_mount(mount, mount->target + skip, kubelet_dir, room);
	}
}

static void look_at_disks(const struct node *node, struct node_room *room)
{
	for (size_t i = 0; i < room->fs_count; i++) {
		struct node_fs *fs = &room->fs[i];
		auto_free char *path = xasprintf("%s%s", node->host_root, fs->mount_point);
		struct statvfs st;

		if (statvfs(path, &st) < 0)
			continue; /* it has no room that could be told */
		fs->capacity_bytes = (uint64_t)st.f_blocks * st.f_frsize;
		fs->free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	}
}

/* Images that no record speaks of: told, and never touched. */
static void look_for_unknown(const struct csi_service *service, const char *local_path,
			     struct node_room *room)
{
	auto_local_images struct local_images images = { 0 };
	struct err ignored;

	if (local_images_read(&service->node, local_path, &images, &ignored) < 0)
		return;
	for (size_t i = 0; i < images.count && room->unknown_count < UNKNOWN_MAX; i++) {
		auto_record struct volume_record record = { 0 };
		struct err why = { 0 };

		if (store_get(service->store, images.all[i].id, &record, &why) < 0 &&
		    why.code == ERR_NOT_FOUND)
			node_room_add_unknown(room, images.all[i].id);
	}
}

struct folders {
	char **paths;
	size_t count;
	size_t volumes;
};

static int add_folder(void *data, const char *id, const struct volume_record *record, struct err *e)
{
	struct folders *folders = data;
	const char *path = record ? record->params.value[PARAM_LOCAL_PATH] : NULL;

	(void)id;
	(void)e;
	folders->volumes++;
	for (size_t i = 0; path && i < folders->count; i++)
		if (strcmp(folders->paths[i], path) == 0)
			path = NULL;
	if (path) {
		folders->paths =
			xrealloc(folders->paths, (folders->count + 1) * sizeof(*folders->paths));
		folders->paths[folders->count++] = xstrdup(path);
	}
	return 0;
}

static int look_at_folders(const struct csi_service *service, struct node_room *room, struct err *e)
{
	const char *initial = param_rules[PARAM_LOCAL_PATH].initial;
	struct folders folders = { 0 };
	bool has_initial = false;

	int rc = store_each(service->store, add_folder, &folders, e);
	for (size_t i = 0; i < folders.count; i++) {
		has_initial |= strcmp(folders.paths[i], initial) == 0;
		if (rc == 0)
			look_for_unknown(service, folders.paths[i], room);
		free(folders.paths[i]);
	}
	free(folders.paths);
	if (rc == 0 && !has_initial)
		look_for_unknown(service, initial, room);
	room->volumes = folders.volumes;
	return rc;
}

int node_report_look(const struct csi_service *service, struct node_room *ret_room, struct err *e)
{
	const struct node *node = &service->node;
	auto_mount_table struct mount_table mounts = { 0 };
	auto_node_room struct node_room room = { 0 };

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	snprintf(room.node, sizeof(room.node), "%s", node->id);
	snprintf(room.version, sizeof(room.version), "%s", PROGRAM_VERSION);
	clock_utc_text(room.heartbeat);
	for (size_t i = 0; i < node->allow_count; i++)
		node_room_allow(&room, node->allow_paths[i]);
	node_report_mounts(&mounts, node->host_root, node->kubelet.resolved, &room);
	look_at_disks(node, &room);
	if (look_at_folders(service, &room, e) < 0)
		return -1;
	*ret_room = TAKE(room, (struct node_room){ 0 });
	return 0;
}

int node_report_send(struct kube_client *client, const struct node_room *room, struct err *e)
{
	auto_free char *path = kube_path(LUKSNODES, room->node, NULL, NULL);
	auto_free char *status_path = kube_path(LUKSNODES, room->node, "status", NULL);
	auto_json json_t *object = NULL;

	int rc = kube_get(client, path, &object, e);
	if (rc < 0 && e->code == ERR_NOT_FOUND) {
		auto_json json_t *made =
			json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", KUBE_GROUP "/v1alpha1",
				  "kind", "LUKSNode", "metadata", "name", room->node);

		rc = kube_create(client, LUKSNODES, made, &object, e);
		if (rc < 0 && e->code == ERR_NOT_FOUND)
			return err_set(e, ERR_FAILED_PRECONDITION,
				       "the cluster does not know LUKSNodes: apply the CRDs of the "
				       "chart (helm show crds CHART | kubectl apply -f -)");
	}
	if (rc < 0)
		return -1;
	auto_json json_t *patch =
		json_pack("{s:o}", "status",
			  node_room_status(room, json_object_get(object, "status")));
	return kube_patch(client, status_path, patch, NULL, e);
}
