/* The configuration of a volume's rclone, where the mounter's death does not reach it. */
#include "engine/s3_kept.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/keyring.h"

/* Drivers with another run folder are other nodes. */
static char *name_of(const struct node *node, const char *id)
{
	return xasprintf("lukscryptwalker:%s:%s", node->run_dir, id);
}

void s3_kept_put(const struct node *node, const char *id, int config_fd)
{
	auto_free char *name = name_of(node, id);
	struct err e = { 0 };

	if (keyring_put(name, config_fd, &e) < 0)
		log_warn("should the mounter die, the volume can be given back after another stage "
			 "only",
			 KV("volume", id), KV("error", e.msg));
}

int s3_kept_get(const struct node *node, const char *id, int *ret_fd, struct err *e)
{
	auto_free char *name = name_of(node, id);

	return keyring_get(name, ret_fd, e);
}

void s3_kept_drop(const struct node *node, const char *id)
{
	auto_free char *name = name_of(node, id);
	struct err e = { 0 };

	if (keyring_drop(name, &e) < 0)
		log_warn("the keys of a volume stay in the kernel's keyring", KV("volume", id),
			 KV("error", e.msg));
}
