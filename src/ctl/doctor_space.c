/* lcw node doctor: the local volumes that the store knows, and whether their disks can hold them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "ctl/doctor.h"
#include "engine/local_volume.h"
#include "sys/image.h"

void doctor_known_done(struct doctor_known *known)
{
	for (size_t i = 0; i < known->count; i++)
		volume_record_done(&known->records[i]);
	free(known->records);
}

void doctor_read_known(const struct ctl_node *node, struct doctor_known *known,
		       struct findings *findings)
{
	size_t count = 0;
	char **ids = NULL;
	struct err e;
	bool more;

	if (store_list(node->store, "", 0, &ids, &count, &more, &e) < 0) {
		findings_add(findings, "records", FINDING_WRONG, "", "%s", e.msg);
		return;
	}
	known->records = xcalloc(count + 1, sizeof(*known->records));
	for (size_t i = 0; i < count; i++) {
		struct volume_record *record = &known->records[known->count];

		if (store_get(node->store, ids[i], record, &e) < 0)
			findings_add(findings, "records", FINDING_WRONG, "", "%s", e.msg);
		else if (strcmp(record->node, node->node.id) == 0 &&
			 params_backend(&record->params) == BACKEND_LOCAL)
			known->count++;
		else
			volume_record_done(record);
	}
	store_ids_free(ids, count);
}

static const char *place_of(const struct doctor_known *known, size_t i)
{
	return known->records[i].params.value[PARAM_LOCAL_PATH];
}

static bool is_first_of_place(const struct doctor_known *known, size_t i)
{
	for (size_t before = 0; before < i; before++)
		if (strcmp(place_of(known, before), place_of(known, i)) == 0)
			return false;
	return true;
}

/* What the image was promised and does not have yet. One that cannot be seen is told elsewhere. */
static uint64_t missing_bytes(const struct ctl_node *node, const struct volume_record *record)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	struct stat image;
	struct err ignored;

	if (local_volume_open(&node->node, record->params.value[PARAM_LOCAL_PATH], record->id,
			      false, &volume, &ignored) < 0 ||
	    volume.dir_fd < 0 || fstatat(volume.dir_fd, volume.image, &image, 0) < 0)
		return 0;
	uint64_t held = (uint64_t)image.st_blocks * 512;
	return (uint64_t)image.st_size > held ? (uint64_t)image.st_size - held : 0;
}

static void look_at_place(const struct ctl_node *node, const struct doctor_known *known,
			  const char *place, struct findings *findings)
{
	uint64_t missing = 0, free_bytes;
	struct err e;

	for (size_t i = 0; i < known->count; i++)
		if (strcmp(place_of(known, i), place) == 0)
			missing += missing_bytes(node, &known->records[i]);
	if (local_free_bytes(&node->node, place, &free_bytes, &e) < 0)
		findings_add(findings, "space", FINDING_WRONG, "", "%s", e.msg);
	else if (missing > free_bytes)
		findings_add(findings, "space", FINDING_WRONG,
			     "make room, or move thin volumes to another disk",
			     "'%s': thin volumes may still take %llu bytes, and %llu are free: "
			     "writes will fail",
			     place, (unsigned long long)missing, (unsigned long long)free_bytes);
	else
		findings_add(findings, "space", FINDING_OK, "", "'%s': %llu bytes are free", place,
			     (unsigned long long)free_bytes);
}

void doctor_space(const struct ctl_node *node, const struct doctor_known *known,
		  struct findings *findings)
{
	for (size_t i = 0; i < known->count; i++)
		if (is_first_of_place(known, i))
			look_at_place(node, known, place_of(known, i), findings);
}
