/* Making and growing the image of a local volume. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/local_delete.h"
#include "engine/local_volume.h"
#include "sys/image.h"

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
	bool image = true;

	/* With an image the record must stay: else nobody could explain it. */
	if (local_image_exists(volume, &image, &ignored) < 0 || image)
		return -1;
	if (local_folder_remove(volume, &ignored) < 0)
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
	    local_volume_lock(&volume, e) < 0 || local_record_read(&volume, &found, &record, e) < 0)
		return -1;
	if (found && record.state == VOLUME_DELETING) {
		if (local_delete_opened(&volume, &record, e) < 0)
			return err_wrap(e, "cannot finish the deletion of the earlier volume '%s'",
					wanted->id);
		local_volume_done(&volume); /* and its lock */
		volume = LOCAL_VOLUME_NONE;
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

int local_grow_image(const struct node *node, const struct volume_record *known,
		     uint64_t capacity_bytes, struct volume_record *ret_record, struct err *e)
{
	const char *local_path = known->params.value[PARAM_LOCAL_PATH], *id = known->id;
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_record struct volume_record record = { 0 };
	auto_close int image_fd = -1;
	bool found;

	if (local_volume_open(node, local_path, id, false, &volume, e) < 0)
		return -1;
	if (volume.dir_fd < 0)
		return err_set(e, ERR_NOT_FOUND, "volume '%s' does not exist in '%s'", id,
			       local_path);
	if (local_volume_lock(&volume, e) < 0 || local_record_read(&volume, &found, &record, e) < 0)
		return -1;
	if (!found || record.state == VOLUME_DELETING)
		return err_set(e, ERR_FAILED_PRECONDITION, "volume '%s' %s", id,
			       found ? "is being deleted" : "has no record beside its image");
	if (local_check_known(known, &record, e) < 0)
		return -1;
	if (capacity_bytes > record.capacity_bytes && record.reencrypting)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the volume key of '%s' is being replaced: it grows when that is "
			       "complete (`lcw volume reencrypt %s`)",
			       id, id);
	if (capacity_bytes > record.capacity_bytes) {
		if (local_image_open(&volume, O_RDWR, &image_fd, e) < 0 ||
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
