/* NodePublishVolume and NodeUnpublishVolume: bind mounts of what is staged. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/parse.h"
#include "engine/local_mapping.h"
#include "engine/local_mount.h"
#include "sys/mount.h"
#include "sys/mount_flags.h"

/* At the end of the root of a bind mount whose file is gone (proc_pid_mountinfo(5)). */
#define DELETED "//deleted"

/* The active mapping of the record, proven to be ours. */
static int find_mapping(const struct node *node, const struct volume_record *record,
			bool *ret_active, struct dm_info *ret_mapping, struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	const char *local_path = record->params.value[PARAM_LOCAL_PATH];
	auto_close int image_fd = -1;
	struct stat image;

	if (local_volume_open(node, local_path, record->id, false, &volume, e) < 0)
		return -1;
	if (volume.dir_fd < 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the folder '%s' is missing: is the disk of local-path mounted?",
			       volume.path);
	if (local_image_open(&volume, O_RDONLY, &image_fd, e) < 0)
		return -1;
	if (fstat(image_fd, &image) < 0)
		return err_sys(e, errno, "cannot look at '%s/%s'", volume.path, volume.image);
	return local_mapping_find(volume.mapping, record->luks_uuid, &image, ret_active,
				  ret_mapping, e);
}

struct publication {
	const struct publish_request *request;
	struct dm_info mapping;
	struct target staging, target;
	struct mount_table mounts;
	bool read_only;
};

static void publication_done(struct publication *p)
{
	mount_table_done(&p->mounts);
}

static bool is_ours(const struct publication *p, const struct mount_entry *mount)
{
	return local_mount_is_of(mount, &p->mapping, p->request->record->block);
}

/*
 * How often the volume is published elsewhere than at this target. Counted in kubelet's folder
 * only: below --host-root every mount is seen a second time.
 */
static unsigned others(const struct publication *p)
{
	const struct kubelet_dir *kubelet = p->target.kubelet;
	bool block = p->request->record->block;
	unsigned count = 0;

	for (size_t i = 0; i < p->mounts.count; i++) {
		const struct mount_entry *mount = &p->mounts.entries[i];

		if (path_is_within(mount->target, kubelet->resolved) && is_ours(p, mount) &&
		    strcmp(mount->target, p->staging.path) != 0 &&
		    strcmp(mount->target, p->target.path) != 0 &&
		    !(block && target_is_of_kubelet(kubelet, mount->target)))
			count++;
	}
	return count;
}

/* A bind of a read-only mount is read-only, whatever was asked for. */
static int check_staged(struct publication *p, struct err *e)
{
	const struct volume_record *record = p->request->record;

	if (record->block)
		return 0;
	const struct mount_entry *mount = mount_table_at(&p->mounts, p->staging.path);
	if (!mount || !is_ours(p, mount))
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"volume '%s' is not mounted at the staging path '%s': stage it again",
			record->id, p->staging.path);
	p->read_only = p->read_only || mount_has_option(mount->options, "ro");
	return 0;
}

/* A bind has the flags of the staged mount and those of its own capability. */
static bool flags_match(const struct publication *p, const struct mount_entry *mount)
{
	const struct capability *capability = &p->request->capability;
	const struct mount_entry *staged = mount_table_at(&p->mounts, p->staging.path);

	return p->request->record->block ||
	       mount_flags_match(capability->flags, capability->flag_count,
				 staged ? staged->options : "", mount->options);
}

/* *ret_done: it is published there already, in the way that is asked for. */
static int check_target(const struct publication *p, bool *ret_done, struct err *e)
{
	const char *id = p->request->record->id;
	const struct mount_entry *mount = mount_table_at(&p->mounts, p->target.path);

	*ret_done = mount && is_ours(p, mount);
	if (mount && !*ret_done)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"'%s' is already a mount of something else ('%s'): it is not touched",
			p->target.path, mount->source);
	if (*ret_done && mount_has_option(mount->options, "ro") != p->read_only)
		return err_set(e, ERR_ALREADY_EXISTS,
			       "volume '%s' is published at '%s' already, but %s", id,
			       p->target.path, p->read_only ? "writable" : "read-only");
	if (*ret_done && !flags_match(p, mount))
		return err_set(e, ERR_ALREADY_EXISTS,
			       "volume '%s' is published at '%s' already with other mount flags "
			       "('%s'): unpublish it first",
			       id, p->target.path, mount->options);
	if (!*ret_done && p->request->capability.mode == ACCESS_SINGLE_NODE_SINGLE_WRITER &&
	    others(p) > 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "volume '%s' is published at another path on this node, and its "
			       "access mode allows one (ReadWriteOncePod)",
			       id);
	return 0;
}

/*
 * A read-only bind of a device node does not stop writes to the device (the mount's flag is for
 * the inode, not for what it stands for), so the device itself is set.
 */
static int set_device_read_only(const struct publication *p, struct err *e)
{
	const char *path = p->mapping.path;
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	int wanted = p->read_only, current = 0;

	if (fd < 0 || ioctl(fd, BLKROGET, &current) < 0)
		return err_sys(e, errno, "cannot look at '%s'", path);
	if (current == wanted)
		return 0;
	if (others(p) > 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "raw block volume '%s' is published %s elsewhere on this node: one "
			       "device is "
			       "either read-only or writable",
			       p->request->record->id, wanted ? "writable" : "read-only");
	if (ioctl(fd, BLKROSET, &wanted) < 0)
		return err_sys(e, errno, "cannot make '%s' %s", path,
			       wanted ? "read-only" : "writable");
	return 0;
}

static int bind(const struct publication *p, struct err *e)
{
	bool block = p->request->record->block;
	const struct capability *capability = &p->request->capability;
	char node[32];
	auto_close int target_fd = -1;

	snprintf(node, sizeof(node), "/dev/dm-%u", p->mapping.minor);
	auto_close int source =
		open(block ? node : p->staging.path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (source < 0)
		return err_sys(e, errno, "cannot open '%s'", block ? node : p->staging.path);
	if (block && set_device_read_only(p, e) < 0)
		return -1;
	if (target_open(&p->target, block ? TARGET_FILE : TARGET_DIRECTORY, &target_fd, e) < 0)
		return -1;
	return mount_bind(source, target_fd, capability->flags, capability->flag_count,
			  p->read_only, e);
}

static int verify(const struct publication *p, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	struct err ignored;

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	const struct mount_entry *mount = mount_table_at(&mounts, p->target.path);
	if (mount && is_ours(p, mount))
		return 0;
	err_set(e, ERR_INTERNAL, "'%s' does not show volume '%s' right after it was bound",
		p->target.path, p->request->record->id);
	if (mount && mount_remove(p->target.path, &ignored) < 0)
		log_warn("cannot undo a failed publish", KV("error", ignored.msg));
	return -1;
}

int local_publish(const struct node *node, const struct publish_request *request, struct err *e)
{
	__attribute__((cleanup(publication_done))) struct publication p = {
		.request = request,
		.read_only = request->read_only || capability_is_reader(&request->capability) ||
			     capability_has_flag(&request->capability, "ro"),
	};
	const struct volume_record *record = request->record;
	bool active, done;

	if (target_parse(&node->kubelet, request->staging_path, "staging path", &p.staging, e) <
		    0 ||
	    target_parse(&node->kubelet, request->target_path, "target path", &p.target, e) < 0 ||
	    capability_fits(&request->capability, record->block, params_fs_type(&record->params),
			    e) < 0 ||
	    find_mapping(node, record, &active, &p.mapping, e) < 0)
		return -1;
	if (!active)
		return err_set(e, ERR_FAILED_PRECONDITION, "volume '%s' is not staged on node '%s'",
			       record->id, node->id);
	if (mount_table_read(&p.mounts, e) < 0 || check_staged(&p, e) < 0 ||
	    check_target(&p, &done, e) < 0)
		return -1;
	if (!record->block && !p.read_only &&
	    local_permissions(&record->params, &request->capability, p.staging.path, e) < 0)
		return -1;
	if (done)
		return 0;
	return bind(&p, e) < 0 ? -1 : verify(&p, e);
}

/*
 * Whether a mount at a target is the volume's. One that outlived its mapping still names it; with
 * no such sign it belongs to somebody else, whatever volume the caller speaks of.
 */
static bool is_publication(const struct mount_entry *mount, const char *mapping_name,
			   const struct dm_info *mapping)
{
	char source[sizeof("/dev/mapper/") + VOLUME_NAME_SIZE];
	size_t length = strlen(mount->root);

	if (mapping)
		return local_mount_is_of(mount, mapping, false) ||
		       local_mount_is_of(mount, mapping, true);
	snprintf(source, sizeof(source), "/dev/mapper/%s", mapping_name);
	return strcmp(mount->source, source) == 0 ||
	       (strncmp(mount->root, "/dm-", 4) == 0 && length > strlen(DELETED) &&
		strcmp(mount->root + length - strlen(DELETED), DELETED) == 0);
}

int local_unpublish(const struct node *node, const char *id, const char *target_path, struct err *e)
{
	char name[VOLUME_NAME_SIZE];
	struct dm_info mapping;
	struct target target;
	bool active;

	volume_mapping_name(id, name);
	if (target_parse(&node->kubelet, target_path, "target path", &target, e) < 0 ||
	    dm_find(name, &active, &mapping, e) < 0)
		return -1;
	for (int layers = 0; layers < 16; layers++) {
		auto_mount_table struct mount_table mounts = { 0 };

		if (mount_table_read(&mounts, e) < 0)
			return -1;
		const struct mount_entry *mount = mount_table_at(&mounts, target.path);
		if (!mount)
			return target_remove(&target, e);
		if (!is_publication(mount, name, active ? &mapping : NULL))
			return err_set(e, ERR_FAILED_PRECONDITION,
				       "'%s' is a mount of something else ('%s'), not of volume "
				       "'%s': it is not touched",
				       target.path, mount->source, id);
		if (mount_remove(target.path, e) < 0)
			return -1;
	}
	return err_set(e, ERR_INTERNAL, "'%s' is mounted more than 16 times over itself",
		       target.path);
}
