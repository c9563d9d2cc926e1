/* The node and its store. */
#include "ctl/node.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/lock.h"

int ctl_node_open(const struct ctl *ctl, struct ctl_node *ret_node, struct err *e)
{
	struct node *node = &ret_node->node;

	node->id = ctl->node_id;
	node->host_root = ctl->host_root;
	node->state_dir = ctl->state_dir;
	node->run_dir = ctl->run_dir;
	if (mkdir(ctl->run_dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot open the folder '%s' (run as root on the node)",
			       ctl->run_dir);
	node->run_fd = open(ctl->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (node->run_fd < 0)
		return err_sys(e, errno, "cannot open the folder '%s' (run as root on the node)",
			       ctl->run_dir);
	ret_node->store = store_dir_open(ctl->state_dir, e);
	return ret_node->store ? 0 : -1;
}

void ctl_node_done(struct ctl_node *node)
{
	store_close(node->store);
	cleanup_close(&node->node.run_fd);
}

int ctl_lock_volume(const struct ctl_node *node, const char *id, int *ret_fd, struct err *e)
{
	char name[VOLUME_NAME_SIZE];

	volume_lock_name(id, name);
	*ret_fd = lock_try(node->node.run_fd, name);
	if (*ret_fd == -EWOULDBLOCK)
		return err_set(e, ERR_ABORTED, "an operation on volume '%s' is running: try again",
			       id);
	return *ret_fd < 0 ? err_sys(e, -*ret_fd, "cannot lock volume '%s'", id) : 0;
}
