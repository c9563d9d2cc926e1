/* The backup of a volume's LUKS header. */
#include "engine/local_backup.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/local_admin.h"
#include "sys/image.h"
#include "sys/luks_backup.h"
#include "sys/luks_header.h"

int local_header_check(const struct local_volume *volume, const struct volume_record *record,
		       int image_fd, struct err *e)
{
	struct luks_header header;
	enum luks_probe kind;

	if (luks_header_read(image_fd, &kind, &header, e) < 0)
		return -1;
	if (kind == LUKS_ABSENT || strcmp(header.uuid, record->luks_uuid) != 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s/%s' does not have the LUKS header with UUID %s", volume->path,
			       volume->image, record->luks_uuid);
	return 0;
}

/* Why a new one is made; NULL: there is no need. */
static const char *reason_of(enum luks_backup_state state)
{
	switch (state) {
	case LUKS_BACKUP_CURRENT:
		return NULL;
	case LUKS_BACKUP_MISSING:
		return "missing";
	case LUKS_BACKUP_STALE:
		return "of another state of the header";
	case LUKS_BACKUP_FOREIGN:
		return "of another UUID";
	case LUKS_BACKUP_DAMAGED:
		break;
	}
	return "damaged";
}

static int ensure(const struct local_volume *volume, const struct volume_record *record,
		  struct err *e)
{
	enum luks_backup_state state;
	auto_close int image_fd = -1;

	if (luks_backup_sweep(volume->dir_fd, e) < 0 ||
	    image_open(volume->dir_fd, volume->image, O_RDONLY, &image_fd, e) < 0 ||
	    local_header_check(volume, record, image_fd, e) < 0 ||
	    luks_backup_look(volume->dir_fd, image_fd, false, &state, e) < 0)
		return -1;
	const char *reason = reason_of(state);
	if (!reason)
		return 0;
	if (luks_backup_write(volume->dir_fd, image_fd, e) < 0)
		return -1;
	if (state == LUKS_BACKUP_MISSING)
		log_info("header backup made", KV("volume", volume->id));
	else
		log_warn("header backup made anew", KV("volume", volume->id), KV("reason", reason));
	return 0;
}

int local_backup_header(const struct node *node, const char *local_path, const char *id,
			struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_record struct volume_record record = { 0 };
	auto_close int image_fd = -1;
	bool found;

	if (local_volume_open(node, local_path, id, false, &volume, e) < 0)
		return -1;
	if (volume.dir_fd < 0)
		return err_set(e, ERR_NOT_FOUND, "'%s' does not exist", volume.path);
	if (local_volume_lock(&volume, e) < 0 || local_record_read(&volume, &found, &record, e) < 0)
		return -1;
	if (!found || record.state != VOLUME_FORMATTED)
		return err_set(e, ERR_FAILED_PRECONDITION, "volume '%s' %s", id,
			       found ? "has no LUKS header yet" : "has no record beside its image");
	if (local_check_not_reencrypting(&record, e) < 0 ||
	    image_open(volume.dir_fd, volume.image, O_RDONLY, &image_fd, e) < 0 ||
	    local_header_check(&volume, &record, image_fd, e) < 0)
		return -1;
	return luks_backup_write(volume.dir_fd, image_fd, e);
}

void local_backup_ensure(const struct local_volume *volume, const struct volume_record *record)
{
	struct err e;

	if (record->state == VOLUME_FORMATTED && ensure(volume, record, &e) < 0)
		log_warn("the header backup cannot be kept, going on", KV("volume", volume->id),
			 KV("error", e.msg));
}

/* *ret_whole: the image has the header that the record speaks of. */
static int replace(const struct local_volume *volume, const struct volume_record *record,
		   bool *ret_whole)
{
	auto_close int image_fd = -1;
	struct err e;

	*ret_whole = image_open(volume->dir_fd, volume->image, O_RDONLY, &image_fd, &e) == 0 &&
		     local_header_check(volume, record, image_fd, &e) == 0;
	if (*ret_whole && luks_backup_write(volume->dir_fd, image_fd, &e) == 0)
		return 0;
	log_warn("the header backup cannot be made, going on", KV("volume", volume->id),
		 KV("error", e.msg));
	return -1;
}

void local_backup_replace(const struct local_volume *volume, const struct volume_record *record)
{
	bool ignored;

	(void)replace(volume, record, &ignored);
}

void local_backup_supersede(const struct local_volume *volume, const struct volume_record *record)
{
	struct err e;
	bool whole;

	if (replace(volume, record, &whole) == 0 || !whole)
		return;
	if (luks_backup_destroy(volume->dir_fd, &e) < 0)
		log_warn("the outdated header backup cannot be destroyed", KV("volume", volume->id),
			 KV("error", e.msg));
}

void local_backup_renew(const struct local_volume *volume, struct volume_record *record)
{
	clock_utc_text(record->key_changed);
	local_backup_supersede(volume, record);
}
