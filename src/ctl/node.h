/* The node and its store, opened for a command as the driver opens them. */
#ifndef CTL_NODE_H
#define CTL_NODE_H

#include "ctl/ctl.h"

struct ctl_node {
	struct node node;
	struct store *store;
};
#define CTL_NODE_NONE ((struct ctl_node){ .node = { .run_fd = -1, .kubelet = { .fd = -1 } } })

int ctl_node_open(const struct ctl *ctl, struct ctl_node *ret_node, struct err *e) MUST_CHECK;

/* Takes the volume's lock, as the driver does. ABORTED while somebody else has it. */
int ctl_lock_volume(const struct ctl_node *node, const char *id, int *ret_fd,
		    struct err *e) MUST_CHECK;
void ctl_node_done(struct ctl_node *node);
#define auto_ctl_node __attribute__((cleanup(ctl_node_done)))

#endif
