/* lcw node doctor: what belongs to nothing, and what is not finished. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mem.h"
#include "ctl/doctor.h"
#include "engine/local_images.h"
#include "sys/dm.h"
#include "sys/mountinfo.h"

static bool is_mounted(dev_t device)
{
	auto_mount_table struct mount_table mounts = { 0 };
	struct err ignored;

	if (mount_table_read(&mounts, &ignored) < 0)
		return true; /* nothing is said where nothing is known */
	for (size_t i = 0; i < mounts.count; i++)
		if (mounts.entries[i].device == device)
			return true;
	return false;
}

static const struct volume_record *owner_of(const struct doctor_known *known, const char *mapping)
{
	char name[VOLUME_NAME_SIZE];

	for (size_t i = 0; i < known->count; i++) {
		volume_mapping_name(known->records[i].id, name);
		if (strcmp(name, mapping) == 0)
			return &known->records[i];
	}
	return NULL;
}

static void look_at_mapping(const struct doctor_known *known, const char *name,
			    struct findings *findings)
{
	const struct volume_record *owner = owner_of(known, name);
	char mend[VOLUME_NAME_SIZE + 32];
	struct dm_info info;
	struct err e;
	bool found;

	if (strncmp(name, "luks-", 5) != 0 || dm_find(name, &found, &info, &e) < 0 || !found ||
	    info.loop_number < 0)
		return; /* somebody else's */
	snprintf(mend, sizeof(mend), "cryptsetup close %s", name);
	if (!owner)
		findings_add(findings, "mapping", FINDING_NOTE, mend,
			     "'%s' on /dev/loop%d belongs to no volume that the store knows", name,
			     info.loop_number);
	else if (*owner->luks_uuid && !dm_is_luks(&info, owner->luks_uuid))
		findings_add(findings, "mapping", FINDING_WRONG, mend,
			     "'%s' is open with another LUKS UUID than volume '%s' has", name,
			     owner->id);
	else if (!owner->block && !is_mounted(info.device))
		findings_add(findings, "mapping", FINDING_NOTE, mend,
			     "volume '%s' is open and mounted nowhere: kubelet stages or unstages "
			     "it, or close it when no pod uses it",
			     owner->id);
}

static bool has_entries(const char *path)
{
	auto_closedir DIR *dir = opendir(path);

	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			return true;
	return false;
}

/* Whether a path ends in /luks-{id}.img, as the driver names its images; "(deleted)" may follow. */
static bool is_image(const char *path)
{
	const char *name = strrchr(path, '/');

	return name && strncmp(name, "/luks-", 6) == 0 && strstr(name, ".img");
}

static void look_at_loop(const char *device, struct findings *findings)
{
	char path[320], backing[PATH_MAX], mend[64];

	snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", device);
	if (fd_read_small(path, backing, sizeof(backing)) < 0 || !is_image(backing))
		return;
	snprintf(path, sizeof(path), "/sys/block/%s/holders", device);
	snprintf(mend, sizeof(mend), "losetup -d /dev/%.32s", device);
	if (strstr(backing, " (deleted)"))
		findings_add(findings, "loop device", FINDING_WRONG, mend,
			     "/dev/%s is on '%s': an image that was deleted", device, backing);
	else if (!has_entries(path))
		findings_add(findings, "loop device", FINDING_WRONG, mend,
			     "/dev/%s is attached to '%s' and no mapping uses it: the volume "
			     "cannot be staged",
			     device, backing);
}

static void look_at_devices(const struct doctor_known *known, struct findings *findings)
{
	auto_closedir DIR *dir = opendir("/sys/block");
	char path[320], name[160];

	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (strncmp(entry->d_name, "loop", 4) == 0) {
			look_at_loop(entry->d_name, findings);
			continue;
		}
		snprintf(path, sizeof(path), "/sys/block/%s/dm/name", entry->d_name);
		if (fd_read_small(path, name, sizeof(name)) == 0)
			look_at_mapping(known, name, findings);
	}
}

static void look_at_record(const struct ctl_node *node, const struct volume_record *record,
			   struct findings *findings)
{
	auto_record struct volume_record now = { 0 };
	char mend[VOLUME_NAME_SIZE + 32];
	struct err e;

	if (volume_is_going(record)) {
		findings_add(findings, "volume", FINDING_NOTE,
			     "the next DeleteVolume goes on with it",
			     "the deletion of '%s' is not finished", record->id);
		return;
	}
	if (local_load(&node->node, record->params.value[PARAM_LOCAL_PATH], record->id, &now, &e) ==
	    0) {
		snprintf(mend, sizeof(mend), "lcw volume check %s", record->id);
		if (now.key_changing)
			findings_add(findings, "volume", FINDING_WRONG, mend,
				     "a change of the passphrase of '%s' was interrupted",
				     record->id);
		return;
	}
	snprintf(mend, sizeof(mend), "lcw volume %s %s",
		 e.code == ERR_NOT_FOUND ? "forget" : "check", record->id);
	findings_add(findings, "volume", FINDING_WRONG, mend, "'%s': %s", record->id, e.msg);
}

/* What lies in a folder of volumes and is no volume of the store. */
static void look_at_folder(const struct ctl_node *node, const struct doctor_known *known,
			   const char *local_path, struct findings *findings)
{
	auto_local_images struct local_images images = { 0 };
	char mapping[VOLUME_NAME_SIZE];
	struct err e;

	if (local_images_read(&node->node, local_path, &images, &e) < 0)
		findings_add(findings, "volumes", FINDING_WRONG, "", "%s", e.msg);
	for (size_t i = 0; i < images.count; i++) {
		const struct local_image *image = &images.all[i];

		volume_mapping_name(image->id, mapping);
		if (owner_of(known, mapping))
			continue;
		auto_free char *adopt = xasprintf("lcw node adopt --local-path=%s", local_path);
		findings_add(
			findings, "volume", FINDING_NOTE, image->has_record ? "" : adopt,
			"'%s/%s' holds an image that the store does not know: %s", local_path,
			image->id,
			image->has_record
				? "of another store, or its record was lost"
				: "of the Go driver (the first stage adopts it), or of nobody");
	}
}

void doctor_leftovers(const struct ctl *ctl, const struct ctl_node *node,
		      const struct doctor_known *known, struct findings *findings)
{
	const char *initial = param_rules[PARAM_LOCAL_PATH].initial;
	size_t before = findings->count;

	look_at_devices(known, findings);
	for (size_t i = 0; i < known->count; i++)
		look_at_record(node, &known->records[i], findings);
	look_at_folder(node, known, ctl->local_path ? ctl->local_path : initial, findings);
	if (findings->count == before)
		findings_add(findings, "leftovers", FINDING_OK, "",
			     "none; %zu volumes of this node are known", known->count);
}
