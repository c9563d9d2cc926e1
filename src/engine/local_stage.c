/* NodeStageVolume: image, loop, LUKS, file system, mount. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/local_backup.h"
#include "engine/local_format.h"
#include "engine/local_mapping.h"
#include "engine/local_mount.h"
#include "engine/local_rotate.h"
#include "sys/image.h"
#include "volume/context.h"

enum { STALE_LOOP_MS = 3000 };

/* What one staging works on; kept together so that each step reads as a sentence. */
struct staging {
	const struct node *node;
	const struct stage_request *request;
	struct local_volume volume;
	struct volume_record record;
	int image_fd;
	struct stat image;
	struct dm_info mapping;
	bool adopting;	  /* there is no volume.json yet */
	bool learnt;	  /* the request told more of an adopted volume than its record */
	bool opened_here; /* this call opened the mapping and closes it again when it fails */
};

static void staging_done(struct staging *s)
{
	struct err ignored;

	if (s->opened_here && local_mapping_close(s->volume.mapping, &s->mapping, &ignored) < 0)
		log_warn("cannot close the mapping of a failed stage", KV("volume", s->volume.id),
			 KV("error", ignored.msg));
	cleanup_close(&s->image_fd);
	local_volume_done(&s->volume);
	volume_record_done(&s->record);
}

/* Of a volume that `lcw node adopt` has taken over: see csi/node_stage.c. */
static void learn_params(struct staging *s)
{
	struct params *ours = &s->record.params;

	for (size_t i = 0; i < CONTEXT_OF_USE_COUNT; i++) {
		enum param which = context_of_use[i];
		const char *now = s->request->params.value[which], *before = ours->value[which];

		if (!now || (before && strcmp(before, now) == 0))
			continue;
		params_set(ours, which, now);
		s->learnt = true;
	}
}

/* The file system of an adopted volume is known when it is open (local_format_learn()). */
static int check_capability(const struct staging *s, bool is_open, struct err *e)
{
	struct capability capability = s->request->capability;

	if (s->record.adopted && !is_open)
		capability.fs_type = "";
	return capability_fits(&capability, s->record.block, params_fs_type(&s->record.params), e);
}

static int load_record(struct staging *s, struct err *e)
{
	bool found, image;

	if (local_record_read(&s->volume, &found, &s->record, e) < 0 ||
	    local_image_exists(&s->volume, &image, e) < 0)
		return -1;
	if (!image)
		return err_set(e, found ? ERR_FAILED_PRECONDITION : ERR_NOT_FOUND,
			       "the image '%s/%s' does not exist on node '%s'", s->volume.path,
			       s->volume.image, s->node->id);
	s->adopting = !found;
	if (s->adopting && local_adopt(s->node, &s->volume, s->request, &s->record, e) < 0)
		return -1;
	if (strcmp(s->record.node, s->node->id) != 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the data of volume '%s' is on node '%s', this is node '%s'",
			       s->volume.id, s->record.node, s->node->id);
	if (s->request->known && local_check_known(s->request->known, &s->record, e) < 0)
		return -1;
	if (s->record.adopted)
		learn_params(s);
	return check_capability(s, false, e);
}

static int open_image(struct staging *s, struct err *e)
{
	uint64_t needed = s->record.capacity_bytes + s->record.data_offset_bytes;

	if (image_open(s->volume.dir_fd, s->volume.image, O_RDWR, &s->image_fd, e) < 0 ||
	    image_check_single(s->image_fd, s->volume.image, e) < 0)
		return -1;
	if (fstat(s->image_fd, &s->image) < 0)
		return err_sys(e, errno, "cannot look at '%s/%s'", s->volume.path, s->volume.image);
	if ((uint64_t)s->image.st_size < needed)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s/%s' is truncated: it has %llu bytes, the volume needs %llu; nothing "
			"is touched",
			s->volume.path, s->volume.image, (unsigned long long)s->image.st_size,
			(unsigned long long)needed);
	return 0;
}

/*
 * The image must not be attached: a second loop device on it would be its end. The device of a
 * worker that was killed goes away by itself, but not at once.
 */
static int check_not_attached(const struct staging *s, struct err *e)
{
	auto_loop struct loop loop = LOOP_NONE;
	struct loop_backing backing;
	struct err ignored;
	bool found;

	if (loop_find(&s->image, s->volume.image, &found, &loop, e) < 0)
		return -1;
	if (!found)
		return 0;
	if (loop_backing(loop.number, &backing, e) < 0)
		return -1;
	loop_close(&loop);
	if (loop_wait_detached(loop.number, &backing, STALE_LOOP_MS, &ignored) == 0)
		return 0;
	return err_set(e, ERR_FAILED_PRECONDITION,
		       "'%s/%s' is attached to %s by something else than this driver: opening it "
		       "twice would destroy it; detach it with `losetup -d %s`",
		       s->volume.path, s->volume.image, loop.path, loop.path);
}

/* Loop and mapping, with the LUKS header made first where the permit allows it. */
static int open_mapping(struct staging *s, struct err *e)
{
	auto_loop struct loop loop = LOOP_NONE;
	const char *sector = s->record.params.value[PARAM_LUKS_SECTOR_SIZE];
	unsigned block_size = strcmp(sector, "512") == 0 ? 512 : 4096;
	const struct secret *passphrase = s->request->passphrase;
	enum header_plan plan;
	bool active;

	if (local_check_requirements(&s->volume, &s->record, s->image_fd, e) < 0 ||
	    local_rotate_at_stage(s->node, &s->volume, &s->record, s->image_fd,
				  s->request->previous, &passphrase, e) < 0 ||
	    local_format_check(&s->volume, &s->record, s->image_fd, &plan, e) < 0 ||
	    check_not_attached(s, e) < 0 ||
	    loop_attach(s->image_fd, block_size, false, &loop, e) < 0 ||
	    local_format_open(s->node, &s->volume, &s->record, &loop, s->image_fd, plan, passphrase,
			      e) < 0)
		return -1;
	s->opened_here = true;

	if (local_mapping_find(s->volume.mapping, s->record.luks_uuid, &s->image, &active,
			       &s->mapping, e) < 0)
		return -1;
	if (!active)
		return err_set(e, ERR_INTERNAL, "mapping '%s' is gone right after it was opened",
			       s->volume.mapping);
	return 0;
}

/* The passphrase has opened it: from now on there is a record. */
static int finish_adoption(struct staging *s, struct err *e)
{
	if (local_record_write(&s->volume, &s->record, e) < 0)
		return -1;
	log_info("volume of the Go driver adopted", KV("volume", s->volume.id),
		 KV("luksUUID", s->record.luks_uuid));
	s->adopting = false;
	return 0;
}

/* Anywhere: a container may have kept a copy of a mount that is gone here. */
static int is_mounted(const struct staging *s, bool *ret_yes, struct err *e)
{
	auto_close int fd = open(s->mapping.path, O_RDONLY | O_EXCL | O_CLOEXEC);

	*ret_yes = fd < 0;
	return fd >= 0 || errno == EBUSY ? 0
					 : err_sys(e, errno, "cannot open '%s'", s->mapping.path);
}

/*
 * The mapping was found open. Where it is not mounted, an earlier call may have died before, or
 * during, the check of its file system.
 */
static int take_over(struct staging *s, struct err *e)
{
	bool mounted;

	if (is_mounted(s, &mounted, e) < 0)
		return -1;
	if (s->adopting && (local_adopt_try(s->node, &s->volume, s->request->passphrase, e) < 0 ||
			    local_format_learn(&s->volume, &s->record, &s->mapping, e) < 0 ||
			    finish_adoption(s, e) < 0))
		return -1;
	if (mounted || s->record.block)
		return 0;
	s->opened_here = true; /* nobody uses it: a failed check closes it */
	return local_format_fs(&s->volume, &s->record, &s->mapping, s->image_fd, e);
}

/* `active`: the mapping was found open. */
static int ensure_mapping(struct staging *s, bool active, struct err *e)
{
	if (active && s->record.state == VOLUME_FORMATTED)
		return take_over(s, e);
	/* A crash between opening and FORMATTED: nobody has seen it mounted; begin again. */
	if (active && local_mapping_close(s->volume.mapping, &s->mapping, e) < 0)
		return -1;
	if (open_mapping(s, e) < 0 || (s->adopting && finish_adoption(s, e) < 0))
		return -1;
	return local_format_fs(&s->volume, &s->record, &s->mapping, s->image_fd, e);
}

static int stage(struct staging *s, const char *local_path, struct err *e)
{
	struct target target;
	bool mounted = false, active;
	struct err ignored;

	if (target_parse(&s->node->kubelet, s->request->staging_path, "staging path", &target, e) <
		    0 ||
	    local_volume_open(s->node, local_path, s->request->id, false, &s->volume, e) < 0)
		return -1;
	if (s->volume.dir_fd < 0)
		return err_set(e, ERR_NOT_FOUND, "volume '%s' does not exist in '%s' on node '%s'",
			       s->request->id, local_path, s->node->id);
	if (local_volume_lock(&s->volume, e) < 0 || load_record(s, e) < 0 || open_image(s, e) < 0 ||
	    local_mapping_find(s->volume.mapping, s->record.luks_uuid, &s->image, &active,
			       &s->mapping, e) < 0)
		return -1;

	/* Before anything is opened: a wrong path must not cost a key derivation, or more. */
	if (!s->record.block && local_mount_precheck(&target, active ? &s->mapping : NULL,
						     &s->request->capability, e) < 0)
		return -1;
	if (ensure_mapping(s, active, e) < 0 || check_capability(s, true, e) < 0 ||
	    local_grow_mapping(s->record.data_offset_bytes, (uint64_t)s->image.st_size, &s->mapping,
			       s->volume.mapping, e) < 0)
		return -1;
	local_backup_ensure(&s->volume, &s->record);
	if (s->learnt && local_record_write(&s->volume, &s->record, &ignored) < 0)
		log_warn("cannot write down what the PersistentVolume says",
			 KV("volume", s->volume.id), KV("error", ignored.msg));
	if (s->record.block)
		return 0;
	return local_mount_ensure(&s->record, &s->mapping, &target, &s->request->capability,
				  &mounted, e);
}

int local_stage(const struct node *node, const char *local_path,
		const struct stage_request *request, struct volume_record *ret_record,
		struct err *e)
{
	__attribute__((cleanup(staging_done))) struct staging s = {
		.node = node,
		.request = request,
		.volume = LOCAL_VOLUME_NONE,
		.image_fd = -1,
		.mapping = { .loop_number = -1 },
	};

	if (stage(&s, local_path, e) < 0)
		return -1;
	s.opened_here = false;
	volume_record_copy(&s.record, ret_record);
	return 0;
}
