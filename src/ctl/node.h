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

/* Takes the volume's lock, as the driver does. ABORTED when somebody else has it for seconds. */
int ctl_lock_volume(const struct ctl_node *node, const char *id, int *ret_fd,
		    struct err *e) MUST_CHECK;
void ctl_node_done(struct ctl_node *node);
#define auto_ctl_node __attribute__((cleanup(ctl_node_done)))

/*
 * The record of a volume: beside its data where they are on this node, else the store's.
 * *ret_stored: the store knows it. A volume that it does not know is looked for in --local-path,
 * or where volumes lie by default. NOT_FOUND when it is nowhere.
 */
int ctl_find_volume(const struct ctl *ctl, const struct ctl_node *node, const char *id,
		    struct volume_record *ret_record, bool *ret_stored, struct err *e) MUST_CHECK;

/* A volume of this node, locked, for a command that works on its data. */
struct ctl_volume {
	struct ctl_node node;
	struct volume_record record;
	bool stored;
	int lock;
};
#define CTL_VOLUME_NONE ((struct ctl_volume){ .node = CTL_NODE_NONE, .lock = -1 })

/* FAILED_PRECONDITION when its data are on another node; ABORTED while it is locked. */
int ctl_volume_open(const struct ctl *ctl, const char *id, struct ctl_volume *ret_volume,
		    struct err *e) MUST_CHECK;
void ctl_volume_done(struct ctl_volume *volume);
#define auto_ctl_volume __attribute__((cleanup(ctl_volume_done)))

/* The folder that holds the volume's folder. Borrowed. */
const char *ctl_volume_place(const struct ctl_volume *volume);

/* Tells the store of a changed record, if it knows the volume. */
int ctl_volume_changed(const struct ctl_volume *volume, const struct volume_record *now,
		       struct err *e) MUST_CHECK;

#endif
