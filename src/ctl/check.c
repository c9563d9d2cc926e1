/* lcw volume check, backup-header and expand. */
#include <inttypes.h>
#include <stdio.h>

#include "base/parse.h"
#include "ctl/ctl.h"
#include "ctl/node.h"
#include "ctl/report.h"
#include "engine/local_admin.h"

int ctl_volume_check(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_volume struct ctl_volume volume = CTL_VOLUME_NONE;
	auto_record struct volume_record known = { 0 };
	auto_findings struct findings findings = { 0 };

	if (ctl_volume_open(ctl, words[0], &volume, e) < 0 ||
	    (volume.stored && store_get(volume.node.store, words[0], &known, e) < 0) ||
	    local_check(&volume.node.node, ctl_volume_place(&volume), words[0],
			volume.stored ? &known : NULL, &findings, e) < 0)
		return -1;
	return ctl_report(ctl, words[0], &findings);
}

int ctl_volume_backup_header(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_volume struct ctl_volume volume = CTL_VOLUME_NONE;

	if (ctl_volume_open(ctl, words[0], &volume, e) < 0 ||
	    local_backup_header(&volume.node.node, ctl_volume_place(&volume), words[0], e) < 0)
		return -1;
	printf("the backup of the LUKS header of volume '%s' is made anew\n", words[0]);
	return CTL_OK;
}

static int parse_capacity(const char *word, const struct volume_record *record, uint64_t *ret_bytes,
			  struct err *e)
{
	uint64_t bytes;

	if (!parse_size(word, &bytes) || bytes == 0 || bytes > INT64_MAX - (1 << 30))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "'%.40s' is not a size such as 20Gi or a number of bytes", word);
	bytes = (bytes + 4095) / 4096 * 4096;
	if (bytes < record->capacity_bytes)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "volume '%s' has %" PRIu64 " bytes already: volumes never shrink",
			       record->id, record->capacity_bytes);
	*ret_bytes = bytes;
	return 0;
}

int ctl_volume_expand(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_volume struct ctl_volume volume = CTL_VOLUME_NONE;
	auto_record struct volume_record grown = { 0 };
	uint64_t bytes = 0, usable;

	if (ctl_volume_open(ctl, words[0], &volume, e) < 0 ||
	    parse_capacity(words[1], &volume.record, &bytes, e) < 0 ||
	    local_grow_image(&volume.node.node, &volume.record, bytes, &grown, e) < 0 ||
	    ctl_volume_changed(&volume, &grown, e) < 0)
		return -1;
	if (local_node_expand(&volume.node.node, &grown, NULL, &usable, e) == 0) {
		printf("volume '%s' has %" PRIu64 " bytes now\n", words[0], usable);
		return CTL_OK;
	}
	if (e->code != ERR_NOT_FOUND)
		return -1;
	printf("volume '%s' has %" PRIu64 " bytes as soon as it is staged\n", words[0],
	       grown.capacity_bytes);
	return CTL_OK;
}
