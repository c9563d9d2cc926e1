/* The dm-crypt mapping of a volume. */
#include "engine/local_mapping.h"

#include "sys/loop.h"
#include "sys/luks.h"

enum { DETACH_WAIT_MS = 10000 };

int local_mapping_find(const char *mapping, const char *luks_uuid, const struct stat *image,
		       bool *ret_found, struct dm_info *ret_info, struct err *e)
{
	bool backed = false;

	if (dm_find(mapping, ret_found, ret_info, e) < 0)
		return -1;
	if (!*ret_found)
		return 0;
	if (!dm_is_luks(ret_info, luks_uuid))
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"mapping '%s' is open, but not with the LUKS UUID %s of this volume: it "
			"is not touched",
			mapping, luks_uuid);
	if (ret_info->loop_number < 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "mapping '%s' does not lie on a loop device: it is not touched",
			       mapping);
	if (loop_is_backed_by((unsigned)ret_info->loop_number, image, &backed, e) < 0)
		return -1;
	if (!backed)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"mapping '%s' lies on /dev/loop%d, which is not backed by this volume's "
			"image: it is not touched",
			mapping, ret_info->loop_number);
	return 0;
}

int local_mapping_close(const char *mapping, const struct dm_info *info, struct err *e)
{
	bool on_loop = info->loop_number >= 0, active;
	unsigned number = (unsigned)info->loop_number;
	struct loop_backing backing;
	struct dm_info now;

	if (on_loop && loop_backing(number, &backing, e) < 0)
		return -1;
	if (luks_close(mapping, e) < 0 || dm_find(mapping, &active, &now, e) < 0)
		return -1;
	if (active)
		return err_set(e, ERR_INTERNAL, "mapping '%s' is still there after it was closed",
			       mapping);
	return on_loop ? loop_wait_detached(number, &backing, DETACH_WAIT_MS, e) : 0;
}
