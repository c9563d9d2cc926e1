/* lcw volume check: one look at everything that a volume is made of. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "engine/local_admin.h"
#include "engine/local_format.h"
#include "engine/local_mapping.h"
#include "engine/local_volume.h"
#include "sys/image.h"
#include "sys/luks_backup.h"
#include "sys/luks_header.h"
#include "sys/luks_keys.h"
#include "sys/luks_tail.h"

struct checking {
	const struct node *node;
	const struct volume_record *known; /* of the store, or NULL */
	struct local_volume volume;
	struct volume_record record;
	struct stat image;
	int image_fd;
	struct findings *out;
};

static void checking_done(struct checking *c)
{
	cleanup_close(&c->image_fd);
	local_volume_done(&c->volume);
	volume_record_done(&c->record);
}

static void add(struct checking *c, const char *what, enum finding_level level, const char *text,
		const char *verb)
{
	char mend[VOLUME_NAME_SIZE + 64] = "";

	if (*verb)
		snprintf(mend, sizeof(mend), "lcw volume %s %s", verb, c->volume.id);
	findings_add(c->out, what, level, mend, "%s", text);
}

/* Whether there is a record to check the rest with. */
static bool check_record(struct checking *c)
{
	struct err e = { 0 };
	bool found;

	if (local_record_read(&c->volume, &found, &c->record, &e) < 0) {
		add(c, "record", FINDING_WRONG, e.msg, "");
		return false;
	}
	if (!found) {
		add(c, "record", FINDING_WRONG,
		    "volume.json is missing: put it back from a backup, or take the image over",
		    "adopt");
		return false;
	}
	const char *difference = NULL;
	if (c->known && c->known->state != c->record.state)
		difference = "the store knows another state";
	else if (c->known && strcmp(c->known->luks_uuid, c->record.luks_uuid) != 0)
		difference = "the store knows another LUKS UUID";
	else if (c->known && c->known->capacity_bytes != c->record.capacity_bytes)
		difference = "the store knows another size";
	if (difference)
		add(c, "record", FINDING_NOTE, difference, "");
	else
		add(c, "record", FINDING_OK, volume_state_name(c->record.state), "");
	return true;
}

static bool check_image(struct checking *c)
{
	uint64_t needed = c->record.capacity_bytes + c->record.data_offset_bytes;
	struct err e = { 0 };

	if (image_open(c->volume.dir_fd, c->volume.image, O_RDONLY, &c->image_fd, &e) < 0 ||
	    image_check_single(c->image_fd, c->volume.image, &e) < 0) {
		add(c, "image", FINDING_WRONG, e.msg, "");
		return c->image_fd >= 0;
	}
	if (fstat(c->image_fd, &c->image) < 0 || (uint64_t)c->image.st_size < needed) {
		findings_add(
			c->out, "image", FINDING_WRONG, "",
			"it has %llu bytes, the volume needs %llu: the rest of the data is lost",
			(unsigned long long)c->image.st_size, (unsigned long long)needed);
		return true;
	}
	findings_add(c->out, "image", FINDING_OK, "", "%llu bytes, %llu on disk",
		     (unsigned long long)c->image.st_size,
		     (unsigned long long)c->image.st_blocks * 512);
	return true;
}

/* Whether the header is whole and the volume's. */
static bool check_header(struct checking *c)
{
	const char *mend = c->record.reencrypting ? "reencrypt" : "restore-header";
	struct luks_header header;
	enum luks_probe kind;
	struct err e = { 0 };

	if (luks_header_read(c->image_fd, &kind, &header, &e) < 0) {
		add(c, "header", FINDING_WRONG, e.msg, mend);
		return false;
	}
	if (kind == LUKS_ABSENT) {
		add(c, "header", FINDING_WRONG, "the image has no LUKS header", mend);
		return false;
	}
	if (strcmp(header.uuid, c->record.luks_uuid) != 0) {
		findings_add(c->out, "header", FINDING_WRONG, "",
			     "LUKS UUID %s, but the volume was formatted with %s: the image of "
			     "another volume",
			     header.uuid, c->record.luks_uuid);
		return false;
	}
	if (local_check_requirements(&c->volume, &c->record, c->image_fd, &e) < 0) {
		add(c, "header", FINDING_WRONG, e.msg, "");
		return false;
	}
	findings_add(c->out, "header", FINDING_OK, "", "LUKS%d, UUID %s", header.version,
		     header.uuid);
	return true;
}

static void check_keys(struct checking *c)
{
	const char *since = *c->record.key_changed ? c->record.key_changed : "an unknown time";
	unsigned count = 0;
	struct err e = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", c->image_fd);
	if (luks_key_count(path, &count, &e) < 0)
		add(c, "keys", FINDING_WRONG, e.msg, "");
	else if (count == 0)
		add(c, "keys", FINDING_WRONG, "no keyslot is left: no passphrase opens the volume",
		    "restore-header");
	else if (c->record.reencrypting)
		add(c, "keys", FINDING_NOTE, "the volume key is being replaced", "reencrypt");
	else if (c->record.key_changing)
		findings_add(c->out, "keys", FINDING_WRONG, "stage it, or lcw volume rotate-key",
			     "a change of the passphrase was interrupted; %u keyslots", count);
	else
		findings_add(c->out, "keys", count == 1 ? FINDING_OK : FINDING_NOTE, "",
			     "%u keyslot%s, unchanged since %s", count, count == 1 ? "" : "s",
			     since);
}

static void check_backup(struct checking *c)
{
	enum luks_backup_state state;
	struct err e = { 0 };

	if (c->record.reencrypting) {
		add(c, "backup", FINDING_NOTE, "made anew when the volume key is replaced", "");
		return;
	}
	if (luks_backup_look(c->volume.dir_fd, c->image_fd, true, &state, &e) < 0) {
		add(c, "backup", FINDING_WRONG, e.msg, "");
		return;
	}
	switch (state) {
	case LUKS_BACKUP_CURRENT:
		add(c, "backup", FINDING_OK, "the same as the header, every byte", "");
		return;
	case LUKS_BACKUP_MISSING:
		add(c, "backup", FINDING_WRONG, "there is none", "backup-header");
		return;
	case LUKS_BACKUP_FOREIGN:
		add(c, "backup", FINDING_WRONG, "it is of another LUKS UUID", "backup-header");
		return;
	case LUKS_BACKUP_STALE:
		add(c, "backup", FINDING_WRONG, "it is not the same as the header",
		    "backup-header");
		return;
	case LUKS_BACKUP_DAMAGED:
		add(c, "backup", FINDING_WRONG, "it is damaged", "backup-header");
	}
}

static void check_size(struct checking *c)
{
	struct dm_info mapping;
	struct err e = { 0 };
	bool active;

	if (local_mapping_find(c->volume.mapping, c->record.luks_uuid, &c->image, &active, &mapping,
			       &e) < 0 ||
	    !active)
		return; /* told with its condition */
	uint64_t size = (uint64_t)c->image.st_size / 4096 * 4096 - c->record.data_offset_bytes;
	if (mapping.size_bytes < size) {
		char mend[VOLUME_NAME_SIZE + 64];

		snprintf(mend, sizeof(mend), "lcw volume expand %s %llu", c->volume.id,
			 (unsigned long long)c->record.capacity_bytes);
		findings_add(c->out, "size", FINDING_NOTE, mend,
			     "the mapping has %llu bytes of the image's %llu",
			     (unsigned long long)mapping.size_bytes, (unsigned long long)size);
	}
}

static void check_condition(struct checking *c)
{
	struct condition condition;

	local_condition(c->node, &c->record, &condition);
	add(c, "use", condition.abnormal ? FINDING_WRONG : FINDING_OK, condition.message, "");
}

static bool is_ours(const struct checking *c, const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       strcmp(name, VOLUME_RECORD_NAME) == 0 || strcmp(name, LUKS_BACKUP_NAME) == 0 ||
	       strcmp(name, LUKS_TAIL_NAME) == 0 || strcmp(name, c->volume.image) == 0;
}

static void check_folder(struct checking *c)
{
	int fd = openat(c->volume.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		add(c, "folder", FINDING_WRONG, strerror(errno), "");
		return;
	}
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		if (!is_ours(c, entry->d_name))
			findings_add(c->out, "folder", FINDING_NOTE, "",
				     "'%s/%.100s' is not the driver's: it stays when the volume is "
				     "deleted",
				     c->volume.path, entry->d_name);
}

static void check_all(struct checking *c)
{
	if (!check_record(c))
		return;
	bool image = check_image(c);

	if (image && c->record.state == VOLUME_FORMATTED && check_header(c)) {
		check_keys(c);
		check_backup(c);
		check_size(c);
	}
	check_condition(c);
	check_folder(c);
}

int local_check(const struct node *node, const char *local_path, const char *id,
		const struct volume_record *known, struct findings *ret_findings, struct err *e)
{
	__attribute__((cleanup(checking_done))) struct checking c = {
		.node = node,
		.known = known,
		.volume = LOCAL_VOLUME_NONE,
		.image_fd = -1,
		.out = ret_findings,
	};

	if (local_volume_open(node, local_path, id, false, &c.volume, e) < 0)
		return -1;
	if (c.volume.dir_fd < 0) {
		findings_add(ret_findings, "folder", FINDING_WRONG, "",
			     "'%s' does not exist: the disk of local-path may not be mounted",
			     c.volume.path);
		return 0;
	}
	if (local_volume_lock(&c.volume, e) < 0)
		return -1;
	check_all(&c);
	return 0;
}
