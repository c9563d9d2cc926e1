/* What a volume looks like now: condition and usage. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/condition.h"
#include "engine/local_mapping.h"
#include "engine/local_mount.h"
#include "sys/fs_health.h"
#include "sys/image.h"

static void look_at_mounts(const struct volume_record *record, const struct dm_info *mapping,
			   struct condition *condition)
{
	auto_mount_table struct mount_table mounts = { 0 };
	const char *mounted = NULL;
	struct err e;

	if (mount_table_read(&mounts, &e) < 0) {
		condition_say(condition, true, "%s", e.msg);
		return;
	}
	for (size_t i = 0; i < mounts.count; i++) {
		const struct mount_entry *mount = &mounts.entries[i];

		if (mount->device == mapping->device)
			mounted = mount->target;
		if (mount->device == mapping->device &&
		    mount_has_option(mount->super_options, "ro") &&
		    !mount_has_option(mount->options, "ro"))
			condition_say(condition, true,
				      "the file system went read-only after an error: see "
				      "the kernel log of the "
				      "node, then unstage and check it");
	}
	if (!condition->abnormal && mounted && !record->block &&
	    fs_health(mapping->path, mapping->minor, params_fs_type(&record->params), mounted, &e) <
		    0)
		condition_say(condition, true, "%s", e.msg);
}

static void look(const struct node *node, const struct volume_record *record,
		 struct condition *condition, struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_close int image_fd = -1;
	struct dm_info mapping;
	struct stat image;
	bool active;

	if (local_volume_open(node, record->params.value[PARAM_LOCAL_PATH], record->id, false,
			      &volume, e) < 0)
		return;
	if (volume.dir_fd < 0) {
		err_set(e, ERR_NOT_FOUND,
			"the folder '%s' is missing: is the disk of local-path mounted?",
			volume.path);
		return;
	}
	if (image_open(volume.dir_fd, volume.image, O_RDONLY, &image_fd, e) < 0)
		return;
	if (fstat(image_fd, &image) < 0) {
		err_sys(e, errno, "cannot look at the image");
		return;
	}
	if ((uint64_t)image.st_size < record->capacity_bytes + record->data_offset_bytes) {
		err_set(e, ERR_FAILED_PRECONDITION, "the image '%s/%s' is truncated", volume.path,
			volume.image);
		return;
	}
	if (record->state != VOLUME_FORMATTED)
		return;
	if (record->reencrypting) {
		snprintf(condition->message, sizeof(condition->message),
			 "its volume key is being replaced (`lcw volume reencrypt`)");
		return;
	}
	if (local_mapping_find(volume.mapping, record->luks_uuid, &image, &active, &mapping, e) < 0)
		return;
	if (active && mapping.suspended)
		condition_say(condition, true, "mapping '%s' is suspended: its I/O hangs",
			      volume.mapping);
	else if (active)
		look_at_mounts(record, &mapping, condition);
	snprintf(condition->message + strlen(condition->message),
		 sizeof(condition->message) - strlen(condition->message), "%s",
		 condition->abnormal ? ""
		 : active	     ? "open on this node"
				     : "closed");
}

void local_condition(const struct node *node, const struct volume_record *record,
		     struct condition *ret_condition)
{
	struct err e = { 0 };

	memset(ret_condition, 0, sizeof(*ret_condition));
	if (volume_is_going(record)) {
		condition_say(ret_condition, true, "the volume is being deleted");
		return;
	}
	if (strcmp(record->node, node->id) != 0) {
		snprintf(ret_condition->message, sizeof(ret_condition->message),
			 "the data is on node '%.200s'", record->node);
		return;
	}
	look(node, record, ret_condition, &e);
	if (e.code != ERR_OK)
		condition_say(ret_condition, true, "%s", e.msg);
	else if (!*ret_condition->message)
		snprintf(ret_condition->message, sizeof(ret_condition->message),
			 "not used yet (%s)", volume_state_name(record->state));
}

int local_usage(const struct node *node, const struct volume_record *record,
		const char *volume_path, struct fs_usage *ret_usage, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	char name[VOLUME_NAME_SIZE];
	struct dm_info mapping;
	struct target target;
	bool active;

	volume_mapping_name(record->id, name);
	if (target_parse_published(&node->kubelet, volume_path, &target, e) < 0)
		return -1;
	if (dm_find(name, &active, &mapping, e) < 0 || mount_table_read(&mounts, e) < 0)
		return -1;
	if (!active || !local_mount_is_at(&mounts, &target, &mapping, record->block))
		return err_set(e, ERR_NOT_FOUND, "volume '%s' is not mounted at '%.200s'",
			       record->id, volume_path);
	memset(ret_usage, 0, sizeof(*ret_usage));
	if (record->block) {
		ret_usage->total_bytes = mapping.size_bytes;
		return 0;
	}
	auto_close int fd = open(target.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "cannot open '%s'", target.path);
	/* One that has shut itself down tells nothing any more, and takes nothing. */
	if (fs_usage(fd, ret_usage, e) < 0) {
		if (e->sys != EIO)
			return -1;
		ret_usage->total_bytes = record->capacity_bytes;
	}
	return 0;
}
