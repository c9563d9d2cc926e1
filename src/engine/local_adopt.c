/* Taking over a volume of the Go driver: {local-path}/{id}/luks-{id}.img without volume.json. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engine/local_format.h"
#include "sys/image.h"

static void fill_record(const struct node *node, const struct stage_request *request,
			const struct luks_header *header, uint64_t image_bytes,
			struct volume_record *record)
{
	snprintf(record->id, sizeof(record->id), "%s", request->id);
	record->state = VOLUME_FORMATTED;
	record->adopted = true;
	record->block = request->capability.block;
	snprintf(record->node, sizeof(record->node), "%s", node->id);
	record->data_offset_bytes = header->data_offset_bytes;
	record->capacity_bytes = image_bytes - header->data_offset_bytes;
	snprintf(record->luks_uuid, sizeof(record->luks_uuid), "%s", header->uuid);
	clock_utc_text(record->created);
	params_copy(&request->params, &record->params);
	params_set(&record->params, PARAM_LUKS_SECTOR_SIZE,
		   header->sector_size < 4096 ? "512" : "4096");
	if (*request->capability.fs_type)
		params_set(&record->params, PARAM_FS_TYPE, request->capability.fs_type);
}

int local_adopt(const struct node *node, const struct local_volume *volume,
		const struct stage_request *request, struct volume_record *ret_record,
		struct err *e)
{
	auto_close int image_fd = -1;
	struct luks_header header;
	enum luks_probe kind;
	struct stat st;
	char path[64];

	if (request->known)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the record '%s/%s' is missing, but the driver made this volume: restore "
			"the file, or take the image over with `lcw volume adopt %s`",
			volume->path, VOLUME_RECORD_NAME, volume->id);
	if (image_open(volume->dir_fd, volume->image, O_RDONLY, &image_fd, e) < 0)
		return -1;
	if (fstat(image_fd, &st) < 0)
		return err_sys(e, errno, "cannot look at '%s/%s'", volume->path, volume->image);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	if (luks_probe(path, &kind, &header, e) < 0)
		return err_wrap(e, "'%s/%s'", volume->path, volume->image);
	if (kind == LUKS_ABSENT || (uint64_t)st.st_size <= header.data_offset_bytes)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s/%s' has no record %s and no LUKS header: the driver does not know "
			"what it is and does not format it",
			volume->path, volume->image, VOLUME_RECORD_NAME);
	if (request->luks_uuid && *request->luks_uuid &&
	    strcmp(request->luks_uuid, header.uuid) != 0)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s/%s' has LUKS UUID %s, but volume '%s' was formatted with %s: it is "
			"the image of another volume and is not adopted",
			volume->path, volume->image, header.uuid, volume->id, request->luks_uuid);
	if (local_check_requirements(volume, ret_record, image_fd, e) < 0)
		return -1;
	fill_record(node, request, &header, (uint64_t)st.st_size, ret_record);
	return 0;
}

int local_adopt_try(const struct node *node, const struct local_volume *volume,
		    const struct secret *passphrase, struct err *e)
{
	auto_close int image_fd = -1, slot = -1;
	char path[64];

	if (image_open(volume->dir_fd, volume->image, O_RDONLY, &image_fd, e) < 0 ||
	    local_kdf_slot(node, &slot, e) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	return luks_test(path, passphrase, e) < 0 ? local_passphrase_error(volume->id, e) : 0;
}

int local_adopt_image(const struct node *node, const char *local_path,
		      const struct stage_request *request, struct volume_record *ret_record,
		      struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_record struct volume_record existing = { 0 }, record = { 0 };
	bool found;

	if (local_volume_open(node, local_path, request->id, false, &volume, e) < 0)
		return -1;
	if (volume.dir_fd < 0)
		return err_set(e, ERR_NOT_FOUND, "'%s' does not exist", volume.path);
	if (local_volume_lock(&volume, e) < 0 ||
	    local_record_read(&volume, &found, &existing, e) < 0)
		return -1;
	if (found)
		return err_set(e, ERR_ALREADY_EXISTS, "'%s/%s' is there already", volume.path,
			       VOLUME_RECORD_NAME);
	if (local_adopt(node, &volume, request, &record, e) < 0 ||
	    local_adopt_try(node, &volume, request->passphrase, e) < 0 ||
	    local_record_write(&volume, &record, e) < 0)
		return -1;
	volume_record_copy(&record, ret_record);
	return 0;
}
