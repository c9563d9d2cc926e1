/* The store's mirror against the record beside the data. */
#include <string.h>

#include "engine/local.h"

static bool has_header(const struct volume_record *record)
{
	return record->state == VOLUME_FORMATTED || record->state == VOLUME_FORMATTING;
}

/* The folder's record is older than the file system, or that of another volume of this name. */
static bool is_older(const struct volume_record *known, const struct volume_record *beside)
{
	if (known->state != VOLUME_FORMATTED || volume_is_going(beside))
		return false;
	return beside->state != VOLUME_FORMATTED ||
	       strcmp(beside->luks_uuid, known->luks_uuid) != 0;
}

/* The store has a new volume, and the folder an earlier one of this name. */
static bool is_earlier(const struct volume_record *known, const struct volume_record *beside)
{
	return (known->state == VOLUME_RESERVED || known->state == VOLUME_CREATING) &&
	       has_header(beside) && !beside->adopted &&
	       strcmp(known->created, beside->created) != 0;
}

int local_check_known(const struct volume_record *known, const struct volume_record *beside,
		      struct err *e)
{
	const char *local_path = known->params.value[PARAM_LOCAL_PATH];

	if (is_older(known, beside))
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"volume '%s' was formatted with LUKS UUID %s, but '%s/%s/volume.json' "
			"says '%s'%s%s: it is an old or foreign copy; put the right one back, "
			"or move it away and run `lcw volume adopt %s`",
			known->id, known->luks_uuid, local_path, known->id,
			volume_state_name(beside->state), *beside->luks_uuid ? " with UUID " : "",
			beside->luks_uuid, known->id);
	if (is_earlier(known, beside))
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"volume '%s' was made at %s and never used, but '%s/%s' holds a used "
			"volume of this name that was made at %s: it is not opened; move it "
			"away",
			known->id, known->created, local_path, known->id, beside->created);
	return 0;
}
