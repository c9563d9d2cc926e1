/* NodeUnstageVolume: umount, close, detach, each verified, strictly in that order. */
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "engine/local_mapping.h"
#include "engine/local_mount.h"
#include "sys/mount.h"

static int check_not_published(const struct mount_table *mounts, const struct dm_info *mapping,
			       const struct kubelet_dir *kubelet, const char *staging,
			       const char *id, struct err *e)
{
	for (size_t i = 0; i < mounts->count; i++) {
		const struct mount_entry *mount = &mounts->entries[i];

		/* Kubelet's folder only: below --host-root every mount is seen a second time. */
		if (path_is_within(mount->target, kubelet->resolved) &&
		    strcmp(mount->target, staging) != 0 &&
		    (mount->device == mapping->device || local_mount_is_of(mount, mapping, true)))
			return err_set(e, ERR_FAILED_PRECONDITION,
				       "volume '%s' is still mounted at '%s': unpublish it first",
				       id, mount->target);
	}
	return 0;
}

/* A mount at the staging path that is not this volume's is not ours to take away. */
static int check_staging(const struct mount_entry *mount, const struct dm_info *mapping,
			 bool active, const struct target *target, const char *id, struct err *e)
{
	if (!mount || (active && local_mount_is_of(mount, mapping, false)))
		return 0;
	return err_set(
		e, ERR_FAILED_PRECONDITION,
		"'%s' is a mount of something else ('%s'), not of volume '%s': it is not touched",
		target->path, mount->source, id);
}

int local_unstage(const struct node *node, const char *id, const char *staging_path, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	char name[VOLUME_NAME_SIZE];
	struct dm_info mapping;
	struct target target;
	bool active;

	volume_mapping_name(id, name);
	if (target_parse(&node->kubelet, staging_path, "staging path", &target, e) < 0 ||
	    dm_find(name, &active, &mapping, e) < 0 || mount_table_read(&mounts, e) < 0)
		return -1;
	const struct mount_entry *mount = mount_table_at(&mounts, target.path);
	if (check_staging(mount, &mapping, active, &target, id, e) < 0)
		return -1;
	if (!active)
		return dm_remove_unfinished(name, e);
	if (strncmp(mapping.uuid, "CRYPT-LUKS", strlen("CRYPT-LUKS")) != 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "mapping '%s' is not a LUKS mapping: it is not touched", name);
	/* CSI: a path at which the volume is not staged, though it is elsewhere, is nothing to do.
	 */
	if (!mount && local_mount_staged(&mounts, &mapping, &node->kubelet))
		return 0;
	if (check_not_published(&mounts, &mapping, &node->kubelet, target.path, id, e) < 0)
		return -1;
	if (mount && mount_remove(target.path, e) < 0)
		return -1;
	return local_mapping_close(name, &mapping, e);
}
