/* lcw volume forget: for a volume whose data are lost. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ctl/ctl.h"
#include "ctl/node.h"
#include "kube/client.h"
#include "store/store_kube.h"

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

static bool is_in_cluster(void)
{
	return getenv("KUBERNETES_SERVICE_HOST") || getenv("KUBECONFIG");
}

static int open_cluster(struct kube_client **ret_client, struct err *e)
{
	struct kube_config config = { 0 };

	if (kube_config_load(getenv("KUBECONFIG"), &config, e) < 0)
		return -1;
	*ret_client = kube_client_new(&config);
	return 0;
}

static void close_cluster(struct kube_client **client)
{
	kube_client_free(*client);
}
#define auto_cluster __attribute__((cleanup(close_cluster)))

/* A node that is only switched off comes back with its data. */
static int check_node_is_gone(struct kube_client *client, const struct volume_record *record,
			      struct err *e)
{
	auto_free char *path = kube_path("/api/v1/nodes", record->node, NULL, NULL);

	if (!*record->node || params_backend(&record->params) != BACKEND_LOCAL)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "volume '%s' does not lie on a node: --node-is-gone is for local "
			       "volumes",
			       record->id);
	if (kube_get(client, path, NULL, e) == 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "node '%s', which has the data of volume '%s', is in the cluster: "
			       "if it will never come back, `kubectl delete node %s` first",
			       record->node, record->id, record->node);
	return e->code == ERR_NOT_FOUND ? 0 : -1;
}

/* The data may still lie on the disk that is gone: nothing here can destroy them. */
static int forget_with_node(const char *id, struct err *e)
{
	auto_cluster struct kube_client *client = NULL;
	auto_record struct volume_record record = { 0 };
	struct luksvolume volume = { 0 };

	if (volume_id_check(id, e) < 0 || open_cluster(&client, e) < 0 ||
	    store_kube_look(client, id, &volume, e) < 0)
		return -1;
	record = volume.record;
	if (check_node_is_gone(client, &record, e) < 0)
		return -1;
	struct store *store = store_kube_new(client);
	int rc = store_remove(store, id, e);
	store_close(store);
	if (rc < 0)
		return -1;
	log_warn("volume forgotten with its node by an administrator", KV("volume", id),
		 KV("node", record.node));
	printf("volume '%s' is forgotten with node '%s'; its data are where the node's disk is\n",
	       id, record.node);
	return CTL_OK;
}

/* In a cluster the object of a volume that is deleted waits for its node, which cannot do it. */
static int let_object_go(const struct ctl_node *node, const char *id, bool had_record,
			 struct err *e)
{
	auto_cluster struct kube_client *client = NULL;
	auto_record struct volume_record record = { 0 };
	struct luksvolume volume = { 0 };

	if (open_cluster(&client, e) < 0)
		return -1;
	if (store_kube_look(client, id, &volume, e) < 0)
		return e->code == ERR_NOT_FOUND || (had_record && e->sys == ENODEV) ? 0 : -1;
	record = volume.record;
	/* What was forgotten here was another volume of this name. */
	if (had_record && params_backend(&record.params) == BACKEND_LOCAL &&
	    strcmp(record.node, node->node.id) != 0)
		return 0;
	if (check_lost(node, &record, e) < 0)
		return -1;
	if (volume.is_going)
		return store_kube_let_go(client, id, e);
	printf("its LUKSVolume stays until the PersistentVolume is deleted: then run this again\n");
	return 0;
}

int ctl_volume_forget(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	auto_record struct volume_record record = { 0 };
	auto_close int lock = -1;

	if (ctl->node_is_gone)
		return forget_with_node(words[0], e);
	if (volume_id_check(words[0], e) < 0 || ctl_node_open(ctl, &node, e) < 0 ||
	    ctl_lock_volume(&node, words[0], &lock, e) < 0)
		return -1;
	bool had_record = store_get(node.store, words[0], &record, e) == 0;
	if (had_record) {
		if (check_lost(&node, &record, e) < 0 || store_remove(node.store, words[0], e) < 0)
			return -1;
	} else if (e->code != ERR_NOT_FOUND || !is_in_cluster()) {
		return -1;
	}
	if (is_in_cluster() && let_object_go(&node, words[0], had_record, e) < 0)
		return -1;
	printf("volume '%s' is forgotten\n", words[0]);
	return CTL_OK;
}
