/* NodeExpandVolume: image, loop, mapping, file system: always the whole chain. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/local_mapping.h"
#include "engine/local_mount.h"

/* CSI: a volume path where the volume is not published is NOT_FOUND. */
static int check_volume_path(const struct target *target, const struct volume_record *record,
			     const struct dm_info *mapping, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	if (!local_mount_is_at(&mounts, target, mapping, record->block))
		return err_set(e, ERR_NOT_FOUND, "volume '%s' is not mounted at '%s'", record->id,
			       target->path);
	return 0;
}

int local_node_expand(const struct node *node, const struct volume_record *record,
		      const char *volume_path, uint64_t *ret_bytes, struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_close int image_fd = -1;
	struct dm_info mapping;
	struct target target;
	struct stat image;
	bool active;

	if ((volume_path &&
	     target_parse(&node->kubelet, volume_path, "volume path", &target, e) < 0) ||
	    local_volume_open(node, record->params.value[PARAM_LOCAL_PATH], record->id, false,
			      &volume, e) < 0)
		return -1;
	if (volume.dir_fd < 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the folder '%s' is missing: is the disk of local-path mounted?",
			       volume.path);
	if (local_volume_lock(&volume, e) < 0 ||
	    local_image_open(&volume, O_RDONLY, &image_fd, e) < 0)
		return -1;
	if (fstat(image_fd, &image) < 0)
		return err_sys(e, errno, "cannot look at '%s/%s'", volume.path, volume.image);
	if (local_mapping_find(volume.mapping, record->luks_uuid, &image, &active, &mapping, e) < 0)
		return -1;
	if (!active)
		return err_set(e, ERR_NOT_FOUND,
			       "volume '%s' is not staged on node '%s': it grows when it is staged",
			       record->id, node->id);
	if (volume_path && check_volume_path(&target, record, &mapping, e) < 0)
		return -1;
	if (local_grow_mapping(record->data_offset_bytes, (uint64_t)image.st_size, &mapping,
			       volume.mapping, e) < 0)
		return -1;
	if (!record->block && local_grow_fs(record, &mapping, e) < 0)
		return -1;
	*ret_bytes = mapping.size_bytes;
	return 0;
}
