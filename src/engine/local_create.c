/* Making, growing and deleting the image of a local volume. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/local_mapping.h"
#include "engine/local_volume.h"
#include "sys/image.h"
#include "sys/loop.h"

/* Removes the record and the folder of a volume that has no image (any more). */
static int remove_folder(struct local_volume *volume, struct err *e)
{
	if (unlinkat(volume->dir_fd, VOLUME_RECORD_NAME, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot remove '%s/%s'", volume->path, VOLUME_RECORD_NAME);
	if (unlinkat(volume->parent_fd, volume->id, AT_REMOVEDIR) < 0 && errno != ENOENT) {
		if (errno != ENOTEMPTY)
			return err_sys(e, errno, "cannot remove the folder '%s'", volume->path);
		/* Files that are not ours are nobody's to delete. */
		log_warn("folder of a deleted volume holds other files, leaving it",
			 KV("folder", volume->path));
	}
	if (fsync(volume->parent_fd) < 0)
		return err_sys(e, errno, "cannot sync the folder of '%s'", volume->path);
	return 0;
}

static int check_not_in_use(const struct local_volume *volume, int image_fd, struct err *e)
{
	auto_loop struct loop loop = LOOP_NONE;
	struct dm_info info;
	struct stat st;
	bool found;

	if (dm_find(volume->mapping, &found, &info, e) < 0)
		return -1;
	if (found)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"volume '%s' is still staged on this node (mapping '%s'): it cannot be "
			"deleted before it is unstaged",
			volume->id, volume->mapping);
	if (image_fd < 0)
		return 0;
	if (fstat(image_fd, &st) < 0)
		return err_sys(e, errno, "cannot look at the image of volume '%s'", volume->id);
	if (loop_find(&st, &found, &loop, e) < 0)
		return -1;
	if (found)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the image of volume '%s' is attached to %s: it cannot be deleted before "
			"`losetup -d %s`",
			volume->id, loop.path, loop.path);
	return 0;
}

/* The image's descriptor, or -1 with *ret_fd = -1 and success when there is none. */
static int open_image_if_any(const struct local_volume *volume, int flags, int *ret_fd,
			     struct err *e)
{
	*ret_fd = -1;
	if (image_open(volume->dir_fd, volume->image, flags, ret_fd, e) < 0 &&
	    e->code != ERR_NOT_FOUND)
		return -1;
	return 0;
}

static int delete_opened(struct local_volume *volume, struct volume_record *record, struct err *e)
{
	auto_close int image_fd = -1;

	if (open_image_if_any(volume, O_RDWR, &image_fd, e) < 0 ||
	    check_not_in_use(volume, image_fd, e) < 0)
		return -1;
	if (record->state != VOLUME_DELETING) {
		record->state = VOLUME_DELETING;
		if (local_record_write(volume, record, e) < 0)
			return -1;
	}
	if (image_fd >= 0 && image_erase_head(image_fd, record->data_offset_bytes, e) < 0)
		return -1;
	if (image_unlink(volume->dir_fd, volume->image, image_fd, e) < 0)
		return -1;
	return remove_folder(volume, e);
}

int local_delete(const struct node *node, const char *local_path, const char *id, struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_record struct volume_record record = { 0 };
	bool found, image;

	if (local_volume_open(node, local_path, id, false, &volume, e) < 0)
		return -1;
	if (volume.dir_fd < 0)
		return 0;
	if (local_record_read(&volume, &found, &record, e) < 0)
		return -1;
	if (found)
		return delete_opened(&volume, &record, e);

	/* A folder without a record: empty after a crash of an earlier call, or not explained. */
	if (local_image_exists(&volume, &image, e) < 0)
		return -1;
	if (image)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s/%s' has no record %s: nothing is deleted that the driver cannot "
			"explain; adopt it or remove it by hand",
			volume.path, volume.image, VOLUME_RECORD_NAME);
	return image_unlink(volume.dir_fd, volume.image, -1, e) < 0 ? -1
								    : remove_folder(&volume, e);
}

/* What a record beside the data must agree on with the volume that is asked for. */
static int check_same_volume(const struct local_volume *volume, const struct volume_record *found,
			     const struct volume_record *wanted, struct err *e)
{
	const char *difference = params_difference(&found->params, &wanted->params);

	if (!difference && found->block != wanted->block)
		difference = "volumeMode";
	if (difference)
		return err_set(e, ERR_ALREADY_EXISTS,
			       "'%s' holds a volume of this name that was made with another '%s'",
			       volume->path, difference);
	return 0;
}

/* Nothing may be left behind by a failed create; what fails here the next call finds. -1. */
static int forget_reserved(struct local_volume *volume)
{
	struct err ignored;

	if (remove_folder(volume, &ignored) < 0)
		log_warn("cannot clean up after a failed create", KV("volume", volume->id),
			 KV("error", ignored.msg));
	return -1;
}

static int make_image(struct local_volume *volume, const struct volume_record *record,
		      struct err *e)
{
	bool exists;

	if (local_image_exists(volume, &exists, e) < 0)
		return -1;
	if (exists)
		return 0;
	if (record->state != VOLUME_RESERVED)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the image '%s/%s' of a %s volume is missing: it is not made anew, because "
			"its data would seem to be empty",
			volume->path, volume->image, volume_state_name(record->state));
	if (image_create(volume->dir_fd, volume->image,
			 record->capacity_bytes + record->data_offset_bytes,
			 params_thin(&record->params), e) < 0)
		return forget_reserved(volume);
	return 0;
}

/* Record first, then the image: an image without a record would be nobody's. */
static int create_new(struct local_volume *volume, const struct volume_record *wanted,
		      struct err *e)
{
	bool exists;

	if (local_image_exists(volume, &exists, e) < 0)
		return -1;
	if (exists)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s/%s' exists already and has no record %s: it is not touched (a volume "
			"of the Go driver is adopted when it is staged)",
			volume->path, volume->image, VOLUME_RECORD_NAME);
	if (local_record_write(volume, wanted, e) < 0)
		return forget_reserved(volume);
	return make_image(volume, wanted, e);
}

int local_create(const struct node *node, const struct volume_record *wanted,
		 struct volume_record *ret_record, struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_record struct volume_record record = { 0 };
	const char *local_path = wanted->params.value[PARAM_LOCAL_PATH];
	bool found;

	if (local_volume_open(node, local_path, wanted->id, true, &volume, e) < 0 ||
	    local_record_read(&volume, &found, &record, e) < 0)
		return -1;
	if (found && record.state == VOLUME_DELETING) {
		if (delete_opened(&volume, &record, e) < 0)
			return err_wrap(e, "cannot finish the deletion of the earlier volume '%s'",
					wanted->id);
		return local_create(node, wanted, ret_record, e);
	}
	if (!found) {
		if (create_new(&volume, wanted, e) < 0)
			return -1;
		volume_record_copy(wanted, ret_record);
		return 0;
	}
	if (check_same_volume(&volume, &record, wanted, e) < 0 ||
	    make_image(&volume, &record, e) < 0)
		return -1;
	volume_record_copy(&record, ret_record);
	return 0;
}

int local_grow_image(const struct node *node, const char *local_path, const char *id,
		     uint64_t capacity_bytes, struct volume_record *ret_record, struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_record struct volume_record record = { 0 };
	auto_close int image_fd = -1;
	bool found;

	if (local_volume_open(node, local_path, id, false, &volume, e) < 0)
		return -1;
	if (volume.dir_fd < 0)
		return err_set(e, ERR_NOT_FOUND, "volume '%s' does not exist in '%s'", id,
			       local_path);
	if (local_record_read(&volume, &found, &record, e) < 0)
		return -1;
	if (!found || record.state == VOLUME_DELETING)
		return err_set(e, ERR_FAILED_PRECONDITION, "volume '%s' %s", id,
			       found ? "is being deleted" : "has no record beside its image");
	if (capacity_bytes > record.capacity_bytes) {
		if (image_open(volume.dir_fd, volume.image, O_RDWR, &image_fd, e) < 0 ||
		    image_grow(image_fd, capacity_bytes + record.data_offset_bytes,
			       params_thin(&record.params), e) < 0)
			return -1;
		record.capacity_bytes = capacity_bytes;
		if (local_record_write(&volume, &record, e) < 0)
			return -1;
	}
	volume_record_copy(&record, ret_record);
	return 0;
}
