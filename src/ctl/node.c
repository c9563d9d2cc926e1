/* The node and its store. */
#include "ctl/node.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

int ctl_node_open(const struct ctl *ctl, struct ctl_node *ret_node, struct err *e)
{
	struct node *node = &ret_node->node;

	node->id = ctl->node_id;
	node->host_root = ctl->host_root;
	node->run_dir = ctl->run_dir;
	node->state_dir = ctl->state_dir;
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
