/* lcw volume adopt: a record for an image that has none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/node.h"
#include "ctl/passphrase.h"

/* The parameters of the volume: of the store where it knows it, else defaults. */
static int find_params(const struct ctl *ctl, struct ctl_node *node, const char *id,
		       struct volume_record *known, struct stage_request *request, struct err *e)
{
	const struct text_pair pair = { "local-path", ctl->local_path };

	if (store_get(node->store, id, known, e) < 0)
		return e->code == ERR_NOT_FOUND
			       ? params_parse(&pair, ctl->local_path ? 1 : 0, &request->params, e)
			       : -1;
	params_copy(&known->params, &request->params);
	request->capability.block = known->block;
	request->luks_uuid = known->luks_uuid;
	return 0;
}

static int adopt(struct ctl_node *node, const struct stage_request *request, struct err *e)
{
	auto_record struct volume_record record = { 0 };

	if (local_adopt_image(&node->node, request->params.value[PARAM_LOCAL_PATH], request,
			      &record, e) < 0 ||
	    store_put(node->store, &record, e) < 0)
		return -1;
	printf("volume '%s' is adopted: LUKS UUID %s\n", record.id, record.luks_uuid);
	return CTL_OK;
}

int ctl_volume_adopt(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	auto_record struct volume_record known = { 0 };
	auto_secret struct secret *passphrase = NULL;
	struct stage_request request = { .capability = { .fs_type = "" } };
	auto_close int lock = -1;

	request.id = words[0];
	if (volume_id_check(request.id, e) < 0 ||
	    ctl_passphrase(ctl->passphrase_fd, "passphrase", &passphrase, e) < 0 ||
	    ctl_node_open(ctl, &node, e) < 0 || ctl_lock_volume(&node, request.id, &lock, e) < 0)
		return -1;
	request.passphrase = passphrase;
	int rc = find_params(ctl, &node, request.id, &known, &request, e);
	if (rc == 0)
		rc = adopt(&node, &request, e);
	params_done(&request.params);
	return rc;
}
