/* Giving up what a lost node did not upload. */
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/s3_cache.h"
#include "engine/s3_holder.h"
#include "engine/s3_mount.h"

/* What this node itself has: nothing that is in use is taken away. */
static int give_up_own(const struct node *node, const char *id, struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };
	bool exists;

	if (mount_table_read(&mounts, e) < 0)
		return -1;
	for (size_t i = 0; i < mounts.count; i++)
		if (s3_mount_is_of(&mounts.entries[i], node, id))
			return err_set(
				e, ERR_FAILED_PRECONDITION,
				"volume '%s' is mounted at '%s' on this node: unstage it, and "
				"nothing needs to be given up",
				id, mounts.entries[i].target);
	if (s3_cache_exists(node, id, &exists, e) < 0)
		return -1;
	if (!exists)
		return 0;
	log_warn("cache of a volume destroyed with what was not uploaded", KV("volume", id));
	return s3_cache_close(node, id, e) < 0 ? -1 : s3_cache_remove(node, id, e);
}

int s3_release(const struct node *node, const struct volume_record *record, const char *holder,
	       struct err *e)
{
	/* Also of this node: another volume of the same prefix may be the holder. */
	if (strcmp(holder, node->id) == 0 && give_up_own(node, record->id, e) < 0)
		return -1;
	return s3_holder_accept_loss(node, record->id, holder, e);
}
