/* The format permit at work. */
#include "engine/local_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/local_backup.h"
#include "sys/fs_super.h"
#include "sys/image.h"
#include "sys/luks_header.h"
#include "sys/luks_requirements.h"
#include "sys/probe.h"

enum { KDF_SLOTS = 2, KDF_WAIT_MS = 5 * 60 * 1000 };

int local_kdf_slot(const struct node *node, int *ret_fd, struct err *e)
{
	int fd = lock_slot(node->run_fd, "kdf", KDF_SLOTS, KDF_WAIT_MS);

	if (fd < 0)
		return err_sys(e, -fd, "cannot get a place for key derivation on node '%s'",
			       node->id);
	*ret_fd = fd;
	return 0;
}

int local_passphrase_error(const char *id, struct err *e)
{
	if (e->code != ERR_PERMISSION_DENIED)
		return -1;
	return err_set(e, ERR_FAILED_PRECONDITION,
		       "passphrase does not open volume '%s' (was the Secret changed?)", id);
}

static int refuse_found(const struct local_volume *volume, const struct probe *found,
			const char *expected, struct err *e)
{
	return err_set(e, ERR_FAILED_PRECONDITION,
		       "'%s/%s' should %s, but holds a '%s' signature%s%s: it is not formatted",
		       volume->path, volume->image, expected, found->type,
		       *found->uuid ? " with UUID " : "", found->uuid);
}

static int check_zero(const struct local_volume *volume, int image_fd, uint64_t from,
		      const char *state, struct err *e)
{
	bool zero;

	if (image_is_zero(image_fd, from, &zero, e) < 0)
		return -1;
	if (!zero)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s/%s' %s, but is not blank: it holds data of unknown kind and "
			       "is not formatted",
			       volume->path, volume->image, state);
	return 0;
}

static int check_blank(const struct local_volume *volume, int image_fd, struct err *e)
{
	struct probe found;

	if (probe_fd(image_fd, volume->image, &found, e) < 0)
		return -1;
	if (found.kind == PROBE_KNOWN)
		return refuse_found(volume, &found, "be blank", e);
	return check_zero(volume, image_fd, 0, "was never formatted", e);
}

/* A crash while formatting leaves anything between nothing and a whole header of ours. */
static int check_half_formatted(const struct local_volume *volume,
				const struct volume_record *record, int image_fd,
				enum header_plan *ret_plan, struct err *e)
{
	struct luks_header header;
	enum luks_probe kind;
	struct probe found;

	if (luks_header_read(image_fd, &kind, &header, e) == 0 && kind == LUKS_PRESENT &&
	    strcmp(header.uuid, record->luks_uuid) == 0) {
		*ret_plan = HEADER_COMPLETE;
		return 0;
	}
	if (probe_fd(image_fd, volume->image, &found, e) < 0)
		return -1;
	if (found.kind != PROBE_BLANK &&
	    (strcmp(found.type, "crypto_LUKS") != 0 ||
	     (*found.uuid && strcmp(found.uuid, record->luks_uuid) != 0)))
		return refuse_found(volume, &found,
				    "hold the unfinished LUKS header of this volume", e);
	*ret_plan = HEADER_MAKE;
	return check_zero(volume, image_fd, record->data_offset_bytes,
			  "was never formatted to the end", e);
}

static int check_header(const struct local_volume *volume, const struct volume_record *record,
			int image_fd, struct err *e)
{
	struct luks_header header;
	enum luks_probe kind;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
	if (luks_probe(path, &kind, &header, e) < 0)
		return err_wrap(e, "'%s/%s'", volume->path, volume->image);
	if (kind == LUKS_ABSENT)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s/%s' has no LUKS header, but volume '%s' was formatted with UUID %s: "
			"the header was overwritten; nothing is touched",
			volume->path, volume->image, volume->id, record->luks_uuid);
	if (strcmp(header.uuid, record->luks_uuid) != 0)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s/%s' has LUKS UUID %s, but volume '%s' was formatted with %s: it is "
			"the image of another volume",
			volume->path, volume->image, header.uuid, volume->id, record->luks_uuid);
	return 0;
}

int local_format_check(const struct local_volume *volume, const struct volume_record *record,
		       int image_fd, enum header_plan *ret_plan, struct err *e)
{
	switch (record->state) {
	case VOLUME_RESERVED:
		*ret_plan = HEADER_MAKE;
		return check_blank(volume, image_fd, e);
	case VOLUME_FORMATTING:
		return check_half_formatted(volume, record, image_fd, ret_plan, e);
	case VOLUME_FORMATTED:
		*ret_plan = HEADER_OPEN;
		return check_header(volume, record, image_fd, e);
	case VOLUME_CREATING:
	case VOLUME_DELETING:
	case VOLUME_ERASED:
		break;
	}
	return err_set(e, ERR_FAILED_PRECONDITION, "volume '%s' is being deleted", volume->id);
}

int local_check_requirements(const struct local_volume *volume, const struct volume_record *record,
			     int image_fd, struct err *e)
{
	auto_free char *shown = xasprintf("%s/%s", volume->path, volume->image);

	/* Of a reencryption of our own the record knows, and others say how to go on with it. */
	return record->reencrypting ? 0 : luks_requirements_check(image_fd, shown, e);
}

static int make_header(const struct local_volume *volume, struct volume_record *record,
		       const struct loop *loop, const struct secret *passphrase, struct err *e)
{
	struct luks_params params;

	if (record->state == VOLUME_RESERVED) {
		record->state = VOLUME_FORMATTING;
		uuid_random(record->luks_uuid);
		if (!record->block)
			uuid_random(record->fs_uuid);
		if (local_record_write(volume, record, e) < 0)
			return -1;
	}
	params_luks(&record->params, &params);
	return luks_format(loop->path, record->luks_uuid, &params, passphrase, e);
}

static int open_header(const struct local_volume *volume, const struct volume_record *record,
		       const struct loop *loop, const struct secret *passphrase, struct err *e)
{
	bool discard = params_flag(&record->params, PARAM_LUKS_DISCARD);

	if (luks_open(loop->path, volume->mapping, discard, false, passphrase, e) == 0)
		return 0;
	/* The name may be taken by what a killed worker left behind. */
	if (e->sys != EEXIST)
		return -1;
	return dm_remove_unfinished(volume->mapping, e) < 0
		       ? -1
		       : luks_open(loop->path, volume->mapping, discard, false, passphrase, e);
}

int local_format_open(const struct node *node, const struct local_volume *volume,
		      struct volume_record *record, const struct loop *loop, int image_fd,
		      enum header_plan plan, const struct secret *passphrase, struct err *e)
{
	auto_close int slot = -1;

	if (local_kdf_slot(node, &slot, e) < 0 ||
	    (plan == HEADER_MAKE && make_header(volume, record, loop, passphrase, e) < 0))
		return -1;
	if (open_header(volume, record, loop, passphrase, e) == 0)
		return 0;
	if (plan != HEADER_COMPLETE || e->code != ERR_PERMISSION_DENIED || e->sys != ENOENT)
		return local_passphrase_error(volume->id, e);
	/* No keyslot: killed between the header and its first key, so nobody ever wrote here. */
	if (check_zero(volume, image_fd, record->data_offset_bytes,
		       "has a LUKS header without a key", e) < 0 ||
	    make_header(volume, record, loop, passphrase, e) < 0)
		return -1;
	return open_header(volume, record, loop, passphrase, e) < 0
		       ? local_passphrase_error(volume->id, e)
		       : 0;
}

/*
 * A volume of the Go driver says its file system only when it is open: the class that it was made
 * with may be gone. It is only ever mounted, so what was found is believed.
 */
static int learn_fs_type(const struct local_volume *volume, struct volume_record *record,
			 const struct probe *found, struct err *e)
{
	enum fs_type type;

	if (!record->adopted || found->kind != PROBE_KNOWN || !fs_type_parse(found->type, &type) ||
	    type == params_fs_type(&record->params))
		return 0;
	params_set(&record->params, PARAM_FS_TYPE, found->type);
	return local_record_write(volume, record, e);
}

int local_format_learn(const struct local_volume *volume, struct volume_record *record,
		       const struct dm_info *mapping, struct err *e)
{
	struct probe found;

	if (record->block)
		return 0;
	auto_close int fd = open(mapping->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "cannot open '%s'", mapping->path);
	return probe_fd(fd, mapping->path, &found, e) < 0
		       ? -1
		       : learn_fs_type(volume, record, &found, e);
}

static bool is_of_type(const struct probe *found, enum fs_type type)
{
	return found->kind == PROBE_KNOWN && strcmp(found->type, fs_type_name(type)) == 0;
}

/* With what a person needs where the program cannot mend it: the mapping is closed by then. */
static int check_whole_fs(const struct local_volume *volume, const struct dm_info *mapping,
			  enum fs_type type, struct err *e)
{
	if (fs_check(mapping->path, type, e) == 0)
		return 0;
	if (e->code != ERR_FAILED_PRECONDITION && e->code != ERR_DEADLINE_EXCEEDED)
		return -1;
	return err_wrap(e,
			"volume '%s' must be mended on its node (before: `cryptsetup open %s/%s "
			"%s`, after: `cryptsetup close %s`)",
			volume->id, volume->path, volume->image, volume->mapping, volume->mapping);
}

static int check_fs(const struct local_volume *volume, struct volume_record *record,
		    const struct dm_info *mapping, int fd, struct err *e)
{
	enum fs_type type = params_fs_type(&record->params);
	struct probe found;

	if (probe_fd_type(fd, mapping->path, fs_type_name(type), &found, e) < 0)
		return -1;
	if (is_of_type(&found, type))
		return check_whole_fs(volume, mapping, type, e);
	if (probe_fd(fd, mapping->path, &found, e) < 0 ||
	    learn_fs_type(volume, record, &found, e) < 0)
		return -1;
	type = params_fs_type(&record->params);
	if (is_of_type(&found, type))
		return check_whole_fs(volume, mapping, type, e);
	return err_set(
		e, ERR_FAILED_PRECONDITION,
		"volume '%s' should hold a '%s' file system, but '%s' was found on '%s': it is not "
		"formatted; check the disk below",
		volume->id, fs_type_name(type),
		found.kind == PROBE_KNOWN ? found.type : "nothing known", mapping->path);
}

static int find_fs(const struct local_volume *volume, const struct volume_record *record,
		   const struct dm_info *mapping, int fd, bool *ret_whole, struct err *e)
{
	enum fs_type type = params_fs_type(&record->params);
	struct probe found;

	if (probe_fd(fd, mapping->path, &found, e) < 0)
		return -1;
	if (found.kind != PROBE_KNOWN)
		return 0;
	if (!is_of_type(&found, type) || strcmp(found.uuid, record->fs_uuid) != 0)
		return refuse_found(volume, &found, "hold no file system yet", e);
	return fs_super_is_whole(mapping->path, type, ret_whole, e);
}

/*
 * What nobody has written yet decrypts to noise, and in noise libblkid finds a signature now and
 * then. So the bytes below are asked first: whoever wrote something left more than zeros there.
 */
static int make_fs(const struct local_volume *volume, const struct volume_record *record,
		   const struct dm_info *mapping, int image_fd, int fd, struct err *e)
{
	enum fs_type type = params_fs_type(&record->params);
	bool unwritten, whole = false;

	if (image_is_zero(image_fd, record->data_offset_bytes, &unwritten, e) < 0 ||
	    (!unwritten && find_fs(volume, record, mapping, fd, &whole, e) < 0))
		return -1;
	/* Killed between the file system and FORMATTED; or the record is older than the data. */
	if (whole)
		return check_whole_fs(volume, mapping, type, e);
	/* A mkfs that is killed leaves no noise for the next call then. */
	return probe_clear(mapping->path, e) < 0 ? -1
						 : fs_make(mapping->path, type, record->fs_uuid, e);
}

int local_format_fs(const struct local_volume *volume, struct volume_record *record,
		    const struct dm_info *mapping, int image_fd, struct err *e)
{
	auto_close int fd = -1;

	if (!record->block) {
		fd = open(mapping->path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, errno, "cannot open '%s'", mapping->path);
		if (record->state == VOLUME_FORMATTED)
			return check_fs(volume, record, mapping, fd, e);
		if (make_fs(volume, record, mapping, image_fd, fd, e) < 0)
			return -1;
	}
	if (record->state == VOLUME_FORMATTED)
		return 0;
	local_backup_renew(volume, record);
	record->state = VOLUME_FORMATTED;
	return local_record_write(volume, record, e);
}
