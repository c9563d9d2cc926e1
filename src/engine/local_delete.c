/* Deleting a local volume: nothing goes because of its name alone. */
#include "engine/local_delete.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/local_mapping.h"
#include "sys/image.h"
#include "sys/loop.h"
#include "sys/luks_backup.h"
#include "sys/luks_header.h"
#include "sys/luks_tail.h"
#include "sys/probe.h"

int local_folder_remove(struct local_volume *volume, struct err *e)
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
	if (loop_find(&st, volume->image, &found, &loop, e) < 0)
		return -1;
	if (found)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the image of volume '%s' is attached to %s: it cannot be deleted before "
			"`losetup -d %s`",
			volume->id, loop.path, loop.path);
	return 0;
}

/*
 * The header of another volume, whole or with one good copy: its UUID, else "". *ret_ours: there is
 * such a header, and it is this volume's.
 */
static int foreign_uuid(int image_fd, const struct volume_record *record, char ret_uuid[40],
			bool *ret_ours, struct err *e)
{
	struct luks_header header = { 0 };
	enum luks_probe kind;
	bool good = luks_header_read(image_fd, &kind, &header, e) == 0;

	if (good)
		good = kind == LUKS_PRESENT;
	else if (luks_header_is_mendable(image_fd, &good, &header, e) < 0)
		return -1;
	*ret_ours = good && *record->luks_uuid && strcmp(header.uuid, record->luks_uuid) == 0;
	snprintf(ret_uuid, 40, "%s", good && !*ret_ours ? header.uuid : "");
	return 0;
}

/*
 * A file of this name that carries another LUKS header, or something else that is known, is
 * somebody's data: it was put here by mistake. What is unknown may be ours, overwritten. Of a
 * header that is ours nothing more is asked: at the end of the ciphertext libblkid sees a RAID now
 * and then.
 */
static int check_is_ours(const struct local_volume *volume, const struct volume_record *record,
			 int image_fd, struct err *e)
{
	struct probe found = { .kind = PROBE_BLANK };
	char uuid[40];
	bool ours;

	if (foreign_uuid(image_fd, record, uuid, &ours, e) < 0)
		return -1;
	if (ours)
		return 0;
	if (*uuid)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s/%s' has a LUKS header with UUID %s, but volume '%s' %s%s: it is "
			"the image of another volume and is not deleted; move it away first",
			volume->path, volume->image, uuid, volume->id,
			*record->luks_uuid ? "was formatted with " : "was never formatted",
			record->luks_uuid);
	if (probe_fd(image_fd, volume->image, &found, e) < 0)
		log_warn("cannot tell what the image of a volume to delete holds",
			 KV("volume", volume->id), KV("error", e->msg));
	if (found.kind == PROBE_KNOWN && strcmp(found.type, "crypto_LUKS") != 0)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s/%s' holds '%s' and no LUKS header: it is not the image of volume "
			"'%s' and is not deleted; move it away first",
			volume->path, volume->image, found.type, volume->id);
	return 0;
}

/* Opens the image, *ret_fd -1 when there is none, and sees that it may go. */
static int open_doomed(const struct local_volume *volume, const struct volume_record *record,
		       int *ret_fd, struct err *e)
{
	auto_close int fd = -1;

	if (image_open(volume->dir_fd, volume->image, O_RDWR, &fd, e) < 0 &&
	    e->code != ERR_NOT_FOUND)
		return -1;
	if (check_not_in_use(volume, fd, e) < 0)
		return -1;
	if (fd >= 0 && check_is_ours(volume, record, fd, e) < 0)
		return -1;
	*ret_fd = TAKE(fd, -1);
	return 0;
}

/*
 * On a full disk the record cannot be written, and deleting is what would make room: the image
 * then goes without it. A crash in between leaves a volume that does not open, and is deleted by
 * the next call.
 */
static int write_deleting(const struct local_volume *volume, struct volume_record *record,
			  struct err *e)
{
	record->state = VOLUME_DELETING;
	if (local_record_write(volume, record, e) == 0)
		return 0;
	if (e->code != ERR_RESOURCE_EXHAUSTED)
		return -1;
	log_warn("no space to write down that the volume is being deleted: going on",
		 KV("volume", volume->id));
	return 0;
}

static int destroy_data(struct local_volume *volume, struct volume_record *record, struct err *e)
{
	auto_close int image_fd = -1;
	bool written = record->state != VOLUME_RESERVED;

	if (open_doomed(volume, record, &image_fd, e) < 0)
		return -1;
	if (record->state != VOLUME_DELETING && write_deleting(volume, record, e) < 0)
		return -1;
	/* A volume that was never formatted has no key to destroy. */
	if (image_fd >= 0 && written &&
	    image_erase_head(image_fd, record->data_offset_bytes, e) < 0)
		return -1;
	if (luks_backup_destroy(volume->dir_fd, e) < 0 || luks_tail_remove(volume->dir_fd, e) < 0 ||
	    image_unlink(volume->dir_fd, volume->image, image_fd, e) < 0)
		return -1;
	return written ? dm_remove_unfinished(volume->mapping, e) : 0;
}

int local_delete_opened(struct local_volume *volume, struct volume_record *record, struct err *e)
{
	return destroy_data(volume, record, e) < 0 ? -1 : local_folder_remove(volume, e);
}

/* A folder without a record: empty after a crash of an earlier call, or not explained. */
static int check_unexplained(const struct local_volume *volume, struct err *e)
{
	bool image;

	if (local_image_exists(volume, &image, e) < 0)
		return -1;
	if (image)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s/%s' has no record %s: nothing is deleted that the driver cannot "
			"explain; adopt it or remove it by hand",
			volume->path, volume->image, VOLUME_RECORD_NAME);
	return 0;
}

int local_delete_check(const struct node *node, const char *local_path, const char *id,
		       bool *ret_present, struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_record struct volume_record record = { 0 };
	auto_close int image_fd = -1;
	bool found;

	*ret_present = false;
	if (local_volume_open(node, local_path, id, false, &volume, e) < 0)
		return -1;
	if (volume.dir_fd < 0)
		return check_not_in_use(&volume, -1, e);
	*ret_present = true;
	if (local_volume_lock(&volume, e) < 0 || local_record_read(&volume, &found, &record, e) < 0)
		return -1;
	return found ? open_doomed(&volume, &record, &image_fd, e) : check_unexplained(&volume, e);
}

/* With `all` the folder goes too. *ret_present false: there is none. */
static int delete_volume(const struct node *node, const char *local_path, const char *id, bool all,
			 bool *ret_present, struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_record struct volume_record record = { 0 };
	bool found;

	if (local_volume_open(node, local_path, id, false, &volume, e) < 0)
		return -1;
	*ret_present = volume.dir_fd >= 0;
	if (!*ret_present)
		return 0;
	if (local_volume_lock(&volume, e) < 0 || local_record_read(&volume, &found, &record, e) < 0)
		return -1;
	if (found && destroy_data(&volume, &record, e) < 0)
		return -1;
	if (!found && (check_unexplained(&volume, e) < 0 ||
		       image_unlink(volume.dir_fd, volume.image, -1, e) < 0))
		return -1;
	return all ? local_folder_remove(&volume, e) : 0;
}

int local_delete_data(const struct node *node, const char *local_path, const char *id,
		      struct err *e)
{
	bool present;

	if (delete_volume(node, local_path, id, false, &present, e) < 0)
		return -1;
	return present ? 0
		       : err_set(e, ERR_NOT_FOUND, "volume '%s' does not exist in '%s'", id,
				 local_path);
}

int local_delete(const struct node *node, const char *local_path, const char *id, struct err *e)
{
	bool present;

	return delete_volume(node, local_path, id, true, &present, e);
}
