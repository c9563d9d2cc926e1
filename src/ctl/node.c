/* The node and its store. */
#include "ctl/node.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
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

/* A look of the driver's own is over in less; what takes longer is told. */
enum { LOCK_WAIT_MS = 5000 };

int ctl_lock_volume(const struct ctl_node *node, const char *id, int *ret_fd, struct err *e)
{
	char name[VOLUME_NAME_SIZE];

	volume_lock_name(id, name);
	*ret_fd = lock_wait(node->node.run_fd, name, LOCK_WAIT_MS);
	if (*ret_fd == -EWOULDBLOCK)
		return err_set(e, ERR_ABORTED, "an operation on volume '%s' is running: try again",
			       id);
	return *ret_fd < 0 ? err_sys(e, -*ret_fd, "cannot lock volume '%s'", id) : 0;
}

int ctl_find_volume(const struct ctl *ctl, const struct ctl_node *node, const char *id,
		    struct volume_record *ret_record, bool *ret_stored, struct err *e)
{
	const char *place =
		ctl->local_path ? ctl->local_path : param_rules[PARAM_LOCAL_PATH].initial;
	auto_record struct volume_record known = { 0 };
	struct err unknown;

	if (volume_id_check(id, e) < 0)
		return -1;
	*ret_stored = store_get(node->store, id, &known, e) == 0;
	if (!*ret_stored) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		unknown = *e;
		if (local_load(&node->node, place, id, ret_record, e) == 0)
			return 0;
		if (e->code == ERR_NOT_FOUND && !ctl->local_path)
			*e = unknown;
		return -1;
	}
	/* What lies beside the data is the truth; without it the mirror is better than nothing. */
	if (strcmp(known.node, node->node.id) != 0 ||
	    params_backend(&known.params) != BACKEND_LOCAL ||
	    local_load(&node->node, known.params.value[PARAM_LOCAL_PATH], id, ret_record, e) < 0)
		volume_record_copy(&known, ret_record);
	return 0;
}

int ctl_volume_open(const struct ctl *ctl, const char *id, struct ctl_volume *ret_volume,
		    struct err *e)
{
	struct ctl_volume *v = ret_volume;

	if (volume_id_check(id, e) < 0 || ctl_node_open(ctl, &v->node, e) < 0 ||
	    ctl_lock_volume(&v->node, id, &v->lock, e) < 0 ||
	    ctl_find_volume(ctl, &v->node, id, &v->record, &v->stored, e) < 0)
		return -1;
	if (params_backend(&v->record.params) != BACKEND_LOCAL)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "volume '%s' lies in S3: this command is for local volumes", id);
	if (strcmp(v->record.node, v->node.node.id) != 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the data of volume '%s' are on node '%s', this is node '%s': run "
			       "the command there",
			       id, v->record.node, v->node.node.id);
	return 0;
}

void ctl_volume_done(struct ctl_volume *volume)
{
	volume_record_done(&volume->record);
	cleanup_close(&volume->lock);
	ctl_node_done(&volume->node);
}

const char *ctl_volume_place(const struct ctl_volume *volume)
{
	return volume->record.params.value[PARAM_LOCAL_PATH];
}

int ctl_volume_changed(const struct ctl_volume *volume, const struct volume_record *now,
		       struct err *e)
{
	auto_record struct volume_record known = { 0 };

	if (!volume->stored)
		return 0;
	if (store_get(volume->node.store, now->id, &known, e) < 0 ||
	    local_check_known(&known, now, e) < 0)
		return -1;
	return store_put(volume->node.store, now, e);
}
