/* Changing the passphrase of a volume. */
#include "engine/local_rotate.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/local_admin.h"
#include "engine/local_backup.h"
#include "engine/local_format.h"
#include "sys/luks_header.h"
#include "sys/luks_keys.h"

struct rotation {
	const struct local_volume *volume;
	struct volume_record *record;
	int image_fd;
	char image[32]; /* path of image_fd */
	const struct secret *wanted, *previous;
	const struct secret *opens; /* one of the two that was seen to open the header */
};

enum { NO_SLOT = -1 };

/* PERMISSION_DENIED is an answer: *ret_slot NO_SLOT. */
static int find(const struct rotation *r, const struct secret *passphrase, int *ret_slot,
		struct err *e)
{
	*ret_slot = NO_SLOT;
	return luks_key_find(r->image, passphrase, ret_slot, e) < 0 &&
			       e->code != ERR_PERMISSION_DENIED
		       ? -1
		       : 0;
}

/*
 * Writes down that the header is being changed, and which keyslot goes (NO_SLOT: no other). On disk
 * before the header is touched: it is what allows to mend it, and to remove what nothing opens.
 */
static int begin(struct rotation *r, int slot, struct err *e)
{
	struct volume_record *record = r->record;
	unsigned before = record->key_removing;
	unsigned removing = slot == NO_SLOT ? before : (unsigned)slot + 1;
	bool changing = record->key_changing;

	if (changing && removing == before)
		return 0;
	record->key_changing = true;
	record->key_removing = removing;
	if (local_record_write(r->volume, record, e) == 0)
		return 0;
	record->key_changing = changing;
	record->key_removing = before;
	return -1;
}

/* The new header is backed up, and the old backup gone, before the change is called done. */
static int finish(struct rotation *r, struct err *e)
{
	const struct volume_record before = *r->record;

	if (!before.key_changing)
		return 0;
	local_backup_renew(r->volume, r->record);
	r->record->key_changing = false;
	r->record->key_removing = 0;
	if (local_record_write(r->volume, r->record, e) < 0) {
		*r->record =
			before; /* as it is beside the data; its parameters are the same texts */
		return -1;
	}
	log_info("passphrase changed", KV("volume", r->volume->id));
	return 0;
}

static bool is_changing(const struct volume_record *record)
{
	return record->key_changing || record->reencrypting;
}

/* A header that a killed change of ours left with two different copies, and only that. */
static int mend(struct rotation *r, struct err *e)
{
	struct luks_header header;
	enum luks_probe kind;
	bool mendable;
	struct err damage;

	if (!is_changing(r->record) || luks_header_read(r->image_fd, &kind, &header, &damage) == 0)
		return 0;
	if (luks_header_is_mendable(r->image_fd, &mendable, &header, e) < 0)
		return -1;
	if (!mendable || strcmp(header.uuid, r->record->luks_uuid) != 0)
		return 0; /* told by whoever opens it */
	log_warn("a change of the LUKS header was interrupted: going on with it",
		 KV("volume", r->volume->id));
	return luks_header_mend(r->image_fd, e);
}

/* Whether the header is whole and the one that the record speaks of. */
static bool is_ours(const struct rotation *r)
{
	struct luks_header header;
	enum luks_probe kind;
	struct err damage;

	return luks_header_read(r->image_fd, &kind, &header, &damage) == 0 &&
	       kind == LUKS_PRESENT && strcmp(header.uuid, r->record->luks_uuid) == 0;
}

/* The keyslot of the new passphrase, added where there is none, and tried. */
static int ensure_wanted(struct rotation *r, int *ret_slot, struct err *e)
{
	struct luks_params params;
	int old, added;

	if (find(r, r->wanted, ret_slot, e) < 0)
		return -1;
	if (*ret_slot >= 0) {
		r->opens = r->wanted;
		return 0;
	}
	if (!r->previous || find(r, r->previous, &old, e) < 0)
		return -1;
	if (old < 0)
		return err_set(e, ERR_PERMISSION_DENIED,
			       "neither the passphrase nor the previous one opens the volume");
	r->opens = r->previous;
	params_luks(&r->record->params, &params);
	if (begin(r, NO_SLOT, e) < 0 ||
	    luks_key_add(r->image, &params, r->previous, r->wanted, &added, e) < 0 ||
	    find(r, r->wanted, ret_slot, e) < 0)
		return -1;
	if (*ret_slot != added)
		return err_set(e, ERR_INTERNAL,
			       "the new keyslot of volume '%s' does not open with its passphrase",
			       r->volume->id);
	r->opens = r->wanted;
	return 0;
}

/*
 * A removal that was interrupted may have left a keyslot that nothing opens. It is known by its
 * number in the record and by the mark on it: a key that somebody added later has no mark.
 */
static int remove_marked(struct rotation *r, int keep, struct err *e)
{
	int slot = (int)r->record->key_removing - 1;
	bool marked;

	if (!r->record->key_changing || slot == NO_SLOT || slot == keep)
		return 0;
	if (luks_key_is_marked(r->image, slot, &marked, e) < 0)
		return -1;
	return marked ? luks_key_remove(r->image, slot, e) : 0;
}

/* Every keyslot that the previous passphrase opens; the new one's is never touched. */
static int remove_previous(struct rotation *r, int keep, struct err *e)
{
	unsigned count = 0;
	int slot;

	for (;;) {
		if (luks_key_count(r->image, &count, e) < 0)
			return -1;
		if (count < 2)
			return 0;
		if (find(r, r->previous, &slot, e) < 0)
			return -1;
		if (slot < 0 || slot == keep)
			return 0;
		if (begin(r, slot, e) < 0 || luks_key_remove(r->image, slot, e) < 0)
			return -1;
	}
}

/*
 * Of an interrupted change nobody knows which other keyslot is the old one, where the previous
 * passphrase is not given: it is not called complete then.
 */
static int check_single(const struct rotation *r, struct err *e)
{
	unsigned count = 0;

	if (luks_key_count(r->image, &count, e) < 0)
		return -1;
	return count < 2 ? 0
			 : err_set(e, ERR_FAILED_PRECONDITION,
				   "volume '%s' has %u keyslots: the previous passphrase may still "
				   "open it; give it too, as '{key}-previous' in the Secret or "
				   "with `lcw volume rotate-key`",
				   r->volume->id, count);
}

/* r->opens is set as soon as one of the two is known to open the header, also on failure. */
static int rotate(struct rotation *r, struct err *e)
{
	int slot = NO_SLOT;

	if (ensure_wanted(r, &slot, e) < 0 || remove_marked(r, slot, e) < 0)
		return -1;
	if ((r->previous ? remove_previous(r, slot, e) : check_single(r, e)) < 0)
		return -1;
	return finish(r, e);
}

static void rotation_of_image(struct rotation *r)
{
	snprintf(r->image, sizeof(r->image), "/proc/self/fd/%d", r->image_fd);
}

int local_rotate_at_stage(const struct node *node, const struct local_volume *volume,
			  struct volume_record *record, int image_fd, const struct secret *previous,
			  const struct secret **opens, struct err *e)
{
	struct rotation r = {
		.volume = volume,
		.record = record,
		.image_fd = image_fd,
		.wanted = *opens,
		.previous = previous && !secret_equal(previous, *opens) ? previous : NULL,
	};
	auto_close int slot = -1;

	if (record->state != VOLUME_FORMATTED || (!r.previous && !is_changing(record)))
		return 0;
	rotation_of_image(&r);
	if (mend(&r, e) < 0)
		return -1;
	if (local_check_not_reencrypting(record, e) < 0)
		return -1;
	if (!is_ours(&r))
		return 0; /* who opens it says what is wrong with it */
	if (local_kdf_slot(node, &slot, e) < 0)
		return -1;
	if (rotate(&r, e) == 0)
		return 0;
	if (!r.opens)
		return local_passphrase_error(volume->id, e);
	log_warn("the change of the passphrase is not complete, going on", KV("volume", volume->id),
		 KV("error", e->msg));
	*opens = r.opens;
	return 0;
}

int local_header_mend(const struct local_volume *volume, struct volume_record *record, int image_fd,
		      struct err *e)
{
	struct rotation r = { .volume = volume, .record = record, .image_fd = image_fd };

	return mend(&r, e);
}

static int open_volume(const struct node *node, const char *local_path, const char *id,
		       struct local_volume *volume, struct volume_record *record, int *ret_fd,
		       struct err *e)
{
	bool found;

	if (local_volume_open(node, local_path, id, false, volume, e) < 0)
		return -1;
	if (volume->dir_fd < 0)
		return err_set(e, ERR_NOT_FOUND, "'%s' does not exist", volume->path);
	if (local_volume_lock(volume, e) < 0 || local_record_read(volume, &found, record, e) < 0)
		return -1;
	if (!found || record->state != VOLUME_FORMATTED)
		return err_set(e, ERR_FAILED_PRECONDITION, "volume '%s' %s", id,
			       found ? "was never staged: it has no key yet"
				     : "has no record beside its image");
	return local_image_open(volume, O_RDWR, ret_fd, e);
}

int local_rotate_key(const struct node *node, const char *local_path, const char *id,
		     const struct secret *previous, const struct secret *wanted,
		     struct volume_record *ret_record, struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_record struct volume_record record = { 0 };
	auto_close int image_fd = -1, slot = -1;

	if (secret_equal(previous, wanted))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "the new passphrase is the same as the present one");
	if (open_volume(node, local_path, id, &volume, &record, &image_fd, e) < 0 ||
	    local_kdf_slot(node, &slot, e) < 0)
		return -1;
	struct rotation r = {
		.volume = &volume,
		.record = &record,
		.image_fd = image_fd,
		.wanted = wanted,
		.previous = previous,
	};
	rotation_of_image(&r);
	if (mend(&r, e) < 0)
		return -1;
	if (local_check_not_reencrypting(&record, e) < 0 ||
	    local_check_requirements(&volume, &record, image_fd, e) < 0)
		return -1;
	if (!is_ours(&r))
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s/%s' does not have the whole LUKS header of volume '%s' (see "
			       "`lcw volume check %s`)",
			       volume.path, volume.image, id, id);
	if (rotate(&r, e) < 0)
		return local_passphrase_error(id, e);
	volume_record_copy(&record, ret_record);
	return 0;
}
