/* Whether a passphrase opens a volume and the backup of its header. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/local_admin.h"
#include "engine/local_format.h"
#include "sys/image.h"
#include "sys/luks_backup.h"

static enum local_unlock try_fd(int fd, const struct secret *passphrase, struct err *error)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (luks_test(path, passphrase, error) == 0) {
		*error = (struct err){ 0 };
		return LOCAL_UNLOCK_OPENS;
	}
	if (error->code != ERR_PERMISSION_DENIED)
		return LOCAL_UNLOCK_BROKEN;
	*error = (struct err){ 0 };
	return LOCAL_UNLOCK_DENIED;
}

int local_unlock_test(const struct node *node, const char *local_path, const char *id,
		      const struct secret *passphrase, struct local_unlock_result *ret_result,
		      struct err *e)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_close int image_fd = -1, backup_fd = -1, slot = -1;
	struct local_unlock_result result = {
		LOCAL_UNLOCK_BROKEN, LOCAL_UNLOCK_BROKEN, { 0 }, { 0 }
	};

	if (local_volume_open(node, local_path, id, false, &volume, e) < 0)
		return -1;
	if (volume.dir_fd < 0)
		return err_set(e, ERR_NOT_FOUND, "'%s' does not exist", volume.path);
	if (local_volume_lock(&volume, e) < 0 || local_kdf_slot(node, &slot, e) < 0)
		return -1;
	if (image_open(volume.dir_fd, volume.image, O_RDONLY, &image_fd, &result.volume_error) == 0)
		result.volume = try_fd(image_fd, passphrase, &result.volume_error);
	if (luks_backup_open(volume.dir_fd, &backup_fd, &result.backup_error) == 0)
		result.backup = try_fd(backup_fd, passphrase, &result.backup_error);
	*ret_result = result;
	return 0;
}
