/* Replacing the volume key. */
#include <errno.h>
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
#include "engine/local_rotate.h"
#include "sys/dm.h"
#include "sys/fs.h"
#include "sys/image.h"
#include "sys/loop.h"
#include "sys/luks_backup.h"
#include "sys/luks_tail.h"

struct reencryption {
	struct local_volume volume;
	struct volume_record record;
	int image_fd, slot; /* slot: a place for key derivation, until the data are worked on */
	char path[64];	    /* of the image */
	struct luks_params params;
	struct luks_reencrypt job;
	luks_reencrypt_progress *progress;
	void *data;
	bool called;	   /* progress was told of once in this run */
	struct err ending; /* why the end could not be prepared */
};

static void reencryption_done(struct reencryption *r)
{
	cleanup_close(&r->slot);
	cleanup_close(&r->image_fd);
	local_volume_done(&r->volume);
	volume_record_done(&r->record);
}
#define auto_reencryption __attribute__((cleanup(reencryption_done)))

static int write_flags(struct reencryption *r, bool reencrypting, bool ending, struct err *e)
{
	const struct volume_record before = r->record;

	if (before.reencrypting == reencrypting && before.reencrypt_ending == ending)
		return 0;
	r->record.reencrypting = reencrypting;
	r->record.reencrypt_ending = ending;
	if (local_record_write(&r->volume, &r->record, e) == 0)
		return 0;
	r->record.reencrypting = before.reencrypting;
	r->record.reencrypt_ending = before.reencrypt_ending;
	return -1;
}

/*
 * Before the last piece: the header and all data from `done` on are kept as they are now, because
 * the library cannot go on when it is killed at the very end (sys/luks_tail.h).
 */
static int prepare_end(struct reencryption *r, uint64_t done, uint64_t total, struct err *e)
{
	uint64_t data = r->record.data_offset_bytes;

	if (luks_tail_write(r->volume.dir_fd, r->image_fd, data + done, data + total, e) < 0 ||
	    luks_backup_write(r->volume.dir_fd, r->image_fd, e) < 0)
		return -1;
	return write_flags(r, true, true, e);
}

/* Goes back to that moment, whatever a kill left: nothing else was written since. */
static int restore_end(struct reencryption *r, struct err *e)
{
	auto_close int fd = -1;

	if (!r->record.reencrypt_ending)
		return 0;
	if (luks_backup_open(r->volume.dir_fd, &fd, e) < 0 ||
	    local_header_check(&r->volume, &r->record, fd, e) < 0 ||
	    luks_tail_restore(r->volume.dir_fd, r->image_fd, e) < 0)
		return err_wrap(e, "cannot end the reencryption of volume '%s'", r->volume.id);
	return luks_backup_restore(r->volume.dir_fd, r->image_fd, e);
}

/* Key derivation is over when data are worked on: its place is for others. */
static bool on_progress(uint64_t done, uint64_t total, void *data)
{
	struct reencryption *r = data;

	cleanup_close(&r->slot);
	r->slot = -1;
	if (r->progress(done, total, r->data))
		return true;
	/* `done` is a piece behind but for the first call: the last piece must not have begun. */
	uint64_t left = total - done;
	bool is_first = !r->called;
	bool soon = left && left <= 2 * LUKS_REENCRYPT_PIECE &&
		    (is_first || left > LUKS_REENCRYPT_PIECE);
	r->called = true;
	return soon && !r->record.reencrypt_ending && prepare_end(r, done, total, &r->ending) < 0;
}

/* Nothing else may write to the image: two with different keys would destroy it. */
static int check_closed(const struct reencryption *r, struct err *e)
{
	auto_loop struct loop loop = LOOP_NONE;
	struct dm_info mapping;
	struct stat image;
	bool found;

	if (dm_find(r->volume.mapping, &found, &mapping, e) < 0)
		return -1;
	if (found)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"volume '%s' is in use on this node (mapping '%s'): its volume key is "
			"replaced while no pod uses it",
			r->volume.id, r->volume.mapping);
	if (fstat(r->image_fd, &image) < 0)
		return err_sys(e, errno, "cannot look at the image of volume '%s'", r->volume.id);
	if (loop_find(&image, r->volume.image, &found, &loop, e) < 0)
		return -1;
	return found ? err_set(e, ERR_FAILED_PRECONDITION,
			       "the image of volume '%s' is attached to %s: `losetup -d %s` first",
			       r->volume.id, loop.path, loop.path)
		     : 0;
}

static int open_volume(const struct node *node, const char *local_path, const char *id,
		       struct reencryption *r, struct err *e)
{
	bool found;

	if (local_volume_open(node, local_path, id, false, &r->volume, e) < 0)
		return -1;
	if (r->volume.dir_fd < 0)
		return err_set(e, ERR_NOT_FOUND, "'%s' does not exist", r->volume.path);
	if (local_volume_lock(&r->volume, e) < 0 ||
	    local_record_read(&r->volume, &found, &r->record, e) < 0)
		return -1;
	if (!found || r->record.state != VOLUME_FORMATTED)
		return err_set(e, ERR_FAILED_PRECONDITION, "volume '%s' %s", id,
			       found ? "was never staged: it has no key yet"
				     : "has no record beside its image");
	if (r->record.key_changing)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"a change of the passphrase of volume '%s' was interrupted: complete "
			"it first (`lcw volume rotate-key %s`)",
			id, id);
	if (local_image_open(&r->volume, O_RDWR, &r->image_fd, e) < 0 ||
	    image_check_single(r->image_fd, r->volume.image, e) < 0 || check_closed(r, e) < 0 ||
	    restore_end(r, e) < 0 ||
	    local_header_mend(&r->volume, &r->record, r->image_fd, e) < 0 ||
	    local_header_check(&r->volume, &r->record, r->image_fd, e) < 0)
		return -1;
	snprintf(r->path, sizeof(r->path), "/proc/self/fd/%d", r->image_fd);
	r->job.path = r->path;
	params_luks(&r->record.params, &r->params);
	r->job.params = &r->params;
	return local_kdf_slot(node, &r->slot, e);
}

/* Every hole of a thin image is written; a disk that is full halfway leaves the volume closed. */
static int check_room(const struct reencryption *r, struct err *e)
{
	struct fs_usage usage;
	struct stat st;

	if (fstat(r->image_fd, &st) < 0)
		return err_sys(e, errno, "cannot look at the image");
	if (fs_usage(r->volume.dir_fd, &usage, e) < 0)
		return -1;
	uint64_t holes = (uint64_t)st.st_size > (uint64_t)st.st_blocks * 512
				 ? (uint64_t)st.st_size - (uint64_t)st.st_blocks * 512
				 : 0;
	uint64_t needed = holes + 2 * LUKS_HEADER_BYTES;
	if (usage.free_bytes >= needed)
		return 0;
	return err_set(
		e, ERR_RESOURCE_EXHAUSTED,
		"'%s' has %llu bytes left, and to replace the volume key of '%s' takes %llu: "
		"all of the image is written, also what the volume never used",
		r->volume.path, (unsigned long long)usage.free_bytes, r->volume.id,
		(unsigned long long)needed);
}

int local_reencrypt_begin(const struct node *node, const char *local_path, const char *id,
			  const struct secret *passphrase, struct volume_record *ret_record,
			  struct err *e)
{
	auto_reencryption struct reencryption r = { .volume = LOCAL_VOLUME_NONE,
						    .image_fd = -1,
						    .slot = -1 };
	struct err ignored;

	r.job.passphrase = passphrase;
	if (open_volume(node, local_path, id, &r, e) < 0 || luks_test(r.path, passphrase, e) < 0)
		return local_passphrase_error(id, e);
	bool was = r.record.reencrypting, under_way = true;
	if (!was && check_room(&r, e) < 0)
		return -1;
	if (write_flags(&r, true, r.record.reencrypt_ending, e) < 0)
		return -1;
	if (luks_reencrypt_begin(&r.job, e) < 0) {
		/* Taken back only where it is sure that nothing began. */
		if (!was && luks_is_reencrypting(r.path, &under_way, &ignored) == 0 && !under_way &&
		    write_flags(&r, false, false, &ignored) < 0)
			log_warn("cannot take back that a reencryption begins", KV("volume", id));
		return local_passphrase_error(id, e);
	}
	if (!r.record.reencrypt_ending)
		local_backup_supersede(&r.volume, &r.record);
	volume_record_copy(&r.record, ret_record);
	return 0;
}

int local_reencrypt_run(const struct node *node, const char *local_path, const char *id,
			const struct secret *passphrase, luks_reencrypt_progress *progress,
			void *data, bool *ret_complete, struct volume_record *ret_record,
			struct err *e)
{
	auto_reencryption struct reencryption r = { .volume = LOCAL_VOLUME_NONE,
						    .image_fd = -1,
						    .slot = -1,
						    .progress = progress,
						    .data = data };

	r.job.passphrase = passphrase;
	r.job.progress = on_progress;
	r.job.data = &r;
	if (open_volume(node, local_path, id, &r, e) < 0 ||
	    luks_reencrypt_run(&r.job, ret_complete, e) < 0)
		return local_passphrase_error(id, e);
	if (!*ret_complete && r.ending.code != ERR_OK) {
		*e = r.ending;
		return err_wrap(e, "cannot end the reencryption of volume '%s'", id);
	}
	/* First the record: a backup of the ended header must not be taken for the one above. */
	if (*ret_complete &&
	    (write_flags(&r, false, false, e) < 0 || luks_tail_remove(r.volume.dir_fd, e) < 0))
		return -1;
	if (*ret_complete || !r.record.reencrypt_ending)
		local_backup_supersede(&r.volume, &r.record);
	if (*ret_complete)
		log_info("volume key replaced", KV("volume", id));
	volume_record_copy(&r.record, ret_record);
	return 0;
}
