/* NodeStageVolume: image, loop, LUKS, file system, mount. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/local_format.h"
#include "engine/local_mount.h"
#include "sys/image.h"

/* What one staging works on; kept together so that each step reads as a sentence. */
struct staging {
	const struct node *node;
	const struct stage_request *request;
	struct local_volume volume;
	struct volume_record record;
	int image_fd;
	struct stat image;
	struct dm_info mapping;
	bool opened_here; /* this call opened the mapping and closes it again when it fails */
};

static void staging_done(struct staging *s)
{
	struct err ignored;

	/* The loop device is autoclear: it goes away with its mapping. */
	if (s->opened_here && luks_close(s->volume.mapping, &ignored) < 0)
		log_warn("cannot close the mapping of a failed stage", KV("volume", s->volume.id),
			 KV("error", ignored.msg));
	cleanup_close(&s->image_fd);
	local_volume_done(&s->volume);
	volume_record_done(&s->record);
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
	if (!found && local_adopt(s->node, &s->volume, s->request, &s->record, e) < 0)
		return -1;
	if (strcmp(s->record.node, s->node->id) != 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the data of volume '%s' is on node '%s', this is node '%s'",
			       s->volume.id, s->record.node, s->node->id);
	return capability_fits(&s->request->capability, s->record.block,
			       params_fs_type(&s->record.params), e);
}

static int open_image(struct staging *s, struct err *e)
{
	uint64_t needed = s->record.capacity_bytes + s->record.data_offset_bytes;

	if (image_open(s->volume.dir_fd, s->volume.image, O_RDWR, &s->image_fd, e) < 0)
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

static int attach(struct staging *s, struct loop *ret_loop, struct err *e)
{
	const char *sector = s->record.params.value[PARAM_LUKS_SECTOR_SIZE];
	bool found;

	if (loop_find(&s->image, &found, ret_loop, e) < 0)
		return -1;
	if (found)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s/%s' is attached to %s by something else than this driver: opening it "
			"twice would destroy it; detach it with `losetup -d %s`",
			s->volume.path, s->volume.image, ret_loop->path, ret_loop->path);
	return loop_attach(s->image_fd, strcmp(sector, "512") == 0 ? 512 : 4096, false, ret_loop,
			   e);
}

/* Loop and mapping, formatting where the permit allows it. */
static int ensure_mapping(struct staging *s, struct err *e)
{
	auto_loop struct loop loop = LOOP_NONE;
	auto_close int slot = -1;
	bool active;

	if (local_mapping_find(s->volume.mapping, s->record.luks_uuid, &s->image, &active,
			       &s->mapping, e) < 0)
		return -1;
	if (active && s->record.state == VOLUME_FORMATTED)
		return 0;
	if (active) {
		/* A crash between opening and FORMATTED: nobody has seen it mounted; begin again.
		 */
		if (luks_close(s->volume.mapping, e) < 0)
			return -1;
	}
	if (local_format_check(&s->volume, &s->record, s->image_fd, e) < 0 ||
	    local_kdf_slot(s->node, &slot, e) < 0 || attach(s, &loop, e) < 0 ||
	    local_format_luks(&s->volume, &s->record, &loop, s->request->passphrase, e) < 0)
		return -1;
	if (luks_open(loop.path, s->volume.mapping,
		      params_flag(&s->record.params, PARAM_LUKS_DISCARD), false,
		      s->request->passphrase, e) < 0)
		return local_passphrase_error(s->volume.id, e);
	s->opened_here = true;

	if (local_mapping_find(s->volume.mapping, s->record.luks_uuid, &s->image, &active,
			       &s->mapping, e) < 0)
		return -1;
	if (!active)
		return err_set(e, ERR_INTERNAL, "mapping '%s' is gone right after it was opened",
			       s->volume.mapping);
	return local_format_fs(&s->volume, &s->record, &s->mapping, e);
}

static int stage(struct staging *s, const char *local_path, struct err *e)
{
	struct target target;
	bool mounted = false;

	if (target_parse(&s->node->kubelet, s->request->staging_path, "staging path", &target, e) <
		    0 ||
	    local_volume_open(s->node, local_path, s->request->id, false, &s->volume, e) < 0)
		return -1;
	if (s->volume.dir_fd < 0)
		return err_set(e, ERR_NOT_FOUND, "volume '%s' does not exist in '%s' on node '%s'",
			       s->request->id, local_path, s->node->id);
	if (load_record(s, e) < 0 || open_image(s, e) < 0)
		return -1;

	/* Looked at before anything is opened: a wrong path must not cost a key derivation. */
	if (!s->record.block && local_mount_precheck(&target, e) < 0)
		return -1;
	if (ensure_mapping(s, e) < 0 ||
	    local_grow_mapping(s->record.data_offset_bytes, (uint64_t)s->image.st_size, &s->mapping,
			       s->volume.mapping, e) < 0)
		return -1;
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
	};

	if (stage(&s, local_path, e) < 0)
		return -1;
	s.opened_here = false;
	volume_record_copy(&s.record, ret_record);
	return 0;
}
