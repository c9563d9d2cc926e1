/* lcw volume forget: for a volume whose data are lost. */
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/node.h"

static int check_lost(const struct ctl_node *node, const struct volume_record *record,
		      struct err *e)
{
	const char *local_path = record->params.value[PARAM_LOCAL_PATH];
	bool present;

	if (strcmp(record->node, node->node.id) != 0)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the data of volume '%s' are on node '%s', this is node '%s': ask there",
			record->id, record->node, node->node.id);
	if (local_delete_check(&node->node, local_path, record->id, &present, e) < 0)
		return -1;
	return present ? err_set(e, ERR_FAILED_PRECONDITION,
				 "the data of volume '%s' are there, in '%s/%s': they are deleted "
				 "with their PersistentVolume, not forgotten",
				 record->id, local_path, record->id)
		       : 0;
}

int ctl_volume_forget(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	auto_record struct volume_record record = { 0 };
	auto_close int lock = -1;

	if (volume_id_check(words[0], e) < 0 || ctl_node_open(ctl, &node, e) < 0)
		return -1;
	if (ctl_lock_volume(&node, words[0], &lock, e) < 0 ||
	    store_get(node.store, words[0], &record, e) < 0 || check_lost(&node, &record, e) < 0 ||
	    store_remove(node.store, words[0], e) < 0)
		return -1;
	printf("volume '%s' is forgotten\n", words[0]);
	return CTL_OK;
}
