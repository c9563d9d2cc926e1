/* Bringing back a damaged LUKS header, because a person asks for it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/local_admin.h"
#include "engine/local_backup.h"
#include "engine/local_format.h"
#include "engine/local_mapping.h"
#include "sys/image.h"
#include "sys/loop.h"
#include "sys/luks_backup.h"
#include "sys/luks_header.h"

struct restoring {
	struct local_volume volume;
	struct volume_record record;
	int image_fd, backup_fd;
	const struct secret *passphrase;
};

static void restoring_done(struct restoring *r)
{
	cleanup_close(&r->image_fd);
	cleanup_close(&r->backup_fd);
	local_volume_done(&r->volume);
	volume_record_done(&r->record);
}

static int check_closed(const struct restoring *r, struct err *e)
{
	auto_loop struct loop loop = LOOP_NONE;
	struct dm_info mapping;
	struct stat image;
	bool found;

	if (dm_find(r->volume.mapping, &found, &mapping, e) < 0)
		return -1;
	if (found)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "volume '%s' is open on this node (mapping '%s'): unstage it before "
			       "its header is restored",
			       r->volume.id, r->volume.mapping);
	if (fstat(r->image_fd, &image) < 0)
		return err_set(e, ERR_INTERNAL, "cannot look at the image");
	if (loop_find(&image, r->volume.image, &found, &loop, e) < 0)
		return -1;
	return found ? err_set(e, ERR_FAILED_PRECONDITION,
			       "the image of volume '%s' is attached to %s: `losetup -d %s` before "
			       "its header is restored",
			       r->volume.id, loop.path, loop.path)
		     : 0;
}

static int open_volume(const struct node *node, const char *local_path, const char *id,
		       struct restoring *r, struct err *e)
{
	bool found;

	if (local_volume_open(node, local_path, id, false, &r->volume, e) < 0)
		return -1;
	if (r->volume.dir_fd < 0)
		return err_set(e, ERR_NOT_FOUND, "'%s' does not exist", r->volume.path);
	if (local_volume_lock(&r->volume, e) < 0 ||
	    local_record_read(&r->volume, &found, &r->record, e) < 0)
		return -1;
	if (!found)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s/%s' is missing: without it nothing says which header this "
			       "volume had; put it back first",
			       r->volume.path, VOLUME_RECORD_NAME);
	if (r->record.state != VOLUME_FORMATTED)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "volume '%s' is in state '%s': there is no header to restore", id,
			       volume_state_name(r->record.state));
	/* Also a second copy of the header goes nowhere then: reencrypt mends it itself. */
	if (local_check_not_reencrypting(&r->record, e) < 0 ||
	    local_image_open(&r->volume, O_RDWR, &r->image_fd, e) < 0 ||
	    image_check_single(r->image_fd, r->volume.image, e) < 0)
		return -1;
	return check_closed(r, e);
}

/* Whether the passphrase opens the header in this file, both copies of it. */
static int try_whole(const struct restoring *r, int fd, bool *ret_opens, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*ret_opens = luks_test(path, r->passphrase, e) == 0;
	return *ret_opens || e->code == ERR_PERMISSION_DENIED ? 0 : -1;
}

static int refuse_uuid(const struct restoring *r, const char *name, const char *uuid, struct err *e)
{
	return err_set(e, ERR_FAILED_PRECONDITION,
		       "'%s/%s' has LUKS UUID %s, but volume '%s' was formatted with %s: nothing "
		       "is restored",
		       r->volume.path, name, uuid, r->volume.id, r->record.luks_uuid);
}

/* *ret_done: the header needs nothing, or one copy of it was enough. */
static int try_header(struct restoring *r, bool *ret_done, enum local_restored *ret_restored,
		      struct err *e)
{
	struct luks_header header;
	enum luks_probe kind;
	struct err damage;
	bool mendable;

	*ret_done = false;
	*ret_restored = LOCAL_RESTORED_NOTHING;
	if (luks_header_read(r->image_fd, &kind, &header, &damage) == 0) {
		if (kind == LUKS_ABSENT)
			return 0;
		if (strcmp(header.uuid, r->record.luks_uuid) != 0)
			return refuse_uuid(r, r->volume.image, header.uuid, e);
		return try_whole(r, r->image_fd, ret_done, e);
	}
	if (luks_header_is_mendable(r->image_fd, &mendable, &header, e) < 0)
		return -1;
	if (!mendable)
		return 0;
	if (strcmp(header.uuid, r->record.luks_uuid) != 0)
		return refuse_uuid(r, r->volume.image, header.uuid, e);
	if (luks_header_try(r->image_fd, r->passphrase, e) < 0)
		return e->code == ERR_PERMISSION_DENIED ? 0 : -1;
	if (luks_header_mend(r->image_fd, e) < 0)
		return -1;
	*ret_restored = LOCAL_RESTORED_COPY;
	*ret_done = true;
	return 0;
}

/* A header of another moment of a reencryption would read the data with the wrong key. */
static int check_backup(struct restoring *r, struct err *e)
{
	struct luks_header header;
	enum luks_probe kind;
	char path[64];
	bool opens;

	if (luks_backup_open(r->volume.dir_fd, &r->backup_fd, e) < 0)
		return err_wrap(e, "the LUKS header of volume '%s' is damaged", r->volume.id);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->backup_fd);
	if (luks_probe(path, &kind, &header, e) < 0)
		return err_wrap(e, "the header backup '%s/%s'", r->volume.path, LUKS_BACKUP_NAME);
	if (kind == LUKS_ABSENT)
		return err_set(e, ERR_FAILED_PRECONDITION, "'%s/%s' holds no LUKS header",
			       r->volume.path, LUKS_BACKUP_NAME);
	if (strcmp(header.uuid, r->record.luks_uuid) != 0)
		return refuse_uuid(r, LUKS_BACKUP_NAME, header.uuid, e);
	if (header.data_offset_bytes != r->record.data_offset_bytes)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the data begin at byte %llu in the header backup, but at byte %llu "
			       "in the record: nothing is restored",
			       (unsigned long long)header.data_offset_bytes,
			       (unsigned long long)r->record.data_offset_bytes);
	if (try_whole(r, r->backup_fd, &opens, e) < 0)
		return -1;
	return opens ? 0
		     : err_set(e, ERR_FAILED_PRECONDITION,
			       "the passphrase does not open the header backup of volume '%s': "
			       "nothing is restored",
			       r->volume.id);
}

static int restore_backup(struct restoring *r, struct err *e)
{
	bool opens;

	if (check_backup(r, e) < 0 || luks_backup_restore(r->volume.dir_fd, r->image_fd, e) < 0 ||
	    try_whole(r, r->image_fd, &opens, e) < 0)
		return -1;
	return opens ? 0
		     : err_set(e, ERR_INTERNAL,
			       "the restored header of volume '%s' does not open, though its "
			       "backup does: check the disk below",
			       r->volume.id);
}

int local_restore_header(const struct node *node, const char *local_path, const char *id,
			 const struct secret *passphrase, enum local_restored *ret_restored,
			 struct err *e)
{
	__attribute__((cleanup(restoring_done))) struct restoring r = {
		.volume = LOCAL_VOLUME_NONE,
		.image_fd = -1,
		.backup_fd = -1,
		.passphrase = passphrase,
	};
	auto_close int slot = -1;
	bool done;

	if (open_volume(node, local_path, id, &r, e) < 0 || local_kdf_slot(node, &slot, e) < 0 ||
	    try_header(&r, &done, ret_restored, e) < 0)
		return -1;
	if (!done) {
		if (restore_backup(&r, e) < 0)
			return -1;
		*ret_restored = LOCAL_RESTORED_BACKUP;
	}
	if (*ret_restored != LOCAL_RESTORED_NOTHING)
		log_warn("LUKS header restored", KV("volume", id),
			 KV("from",
			    *ret_restored == LOCAL_RESTORED_COPY ? "second copy" : "backup"));
	/* A copy comes back with a salt of its own. */
	if (*ret_restored == LOCAL_RESTORED_COPY)
		local_backup_replace(&r.volume, &r.record);
	else
		local_backup_ensure(&r.volume, &r.record);
	return 0;
}
