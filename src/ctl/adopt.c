/* lcw volume adopt, lcw node adopt: a record for an image that has none, for all such images. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/node.h"
#include "ctl/passphrase.h"
#include "ctl/report.h"
#include "engine/local_images.h"

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

/* Looks for the parameters, locks the volume, and leaves its record beside the image. */
static int adopt(const struct ctl *ctl, struct ctl_node *node, const char *id,
		 const struct secret *passphrase, struct volume_record *ret_record, struct err *e)
{
	struct stage_request request = { .id = id,
					 .passphrase = passphrase,
					 .capability = { .fs_type = "" } };
	auto_record struct volume_record known = { 0 };
	auto_close int lock = -1;

	if (ctl_lock_volume(node, id, &lock, e) < 0)
		return -1;
	int rc = find_params(ctl, node, id, &known, &request, e);
	if (rc == 0)
		rc = local_adopt_image(&node->node, request.params.value[PARAM_LOCAL_PATH],
				       &request, ret_record, e);
	if (rc == 0)
		rc = store_put(node->store, ret_record, e);
	params_done(&request.params);
	return rc;
}

int ctl_volume_adopt(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	auto_record struct volume_record record = { 0 };
	auto_secret struct secret *passphrase = NULL;

	if (volume_id_check(words[0], e) < 0 ||
	    ctl_passphrase(ctl->passphrase_fd, "passphrase", &passphrase, e) < 0 ||
	    ctl_node_open(ctl, &node, e) < 0 ||
	    adopt(ctl, &node, words[0], passphrase, &record, e) < 0)
		return -1;
	printf("volume '%s' is adopted: LUKS UUID %s\n", record.id, record.luks_uuid);
	return CTL_OK;
}

/* One that cannot be adopted (another passphrase, no LUKS header) does not stop the others. */
static void adopt_all(const struct ctl *ctl, struct ctl_node *node,
		      const struct local_images *images, const struct secret *passphrase,
		      struct findings *findings)
{
	struct err e;

	for (size_t i = 0; i < images->count; i++) {
		auto_record struct volume_record record = { 0 };
		const char *id = images->all[i].id;

		if (images->all[i].has_record)
			continue;
		if (adopt(ctl, node, id, passphrase, &record, &e) < 0)
			findings_add(findings, "volume", FINDING_WRONG, "", "'%s': %s", id, e.msg);
		else
			findings_add(findings, "volume", FINDING_OK, "",
				     "'%s' is adopted: LUKS UUID %s", id, record.luks_uuid);
	}
}

int ctl_node_adopt(const struct ctl *ctl, char *words[], struct err *e)
{
	const char *folder =
		ctl->local_path ? ctl->local_path : param_rules[PARAM_LOCAL_PATH].initial;
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	auto_local_images struct local_images images = { 0 };
	auto_findings struct findings findings = { 0 };
	auto_secret struct secret *passphrase = NULL;

	(void)words;
	if (ctl_node_open(ctl, &node, e) < 0 ||
	    local_images_read(&node.node, folder, &images, e) < 0 ||
	    ctl_passphrase(ctl->passphrase_fd, "passphrase", &passphrase, e) < 0)
		return -1;
	adopt_all(ctl, &node, &images, passphrase, &findings);
	if (findings.count == 0)
		findings_add(&findings, "volumes", FINDING_OK, "",
			     "'%s' holds no image without a record: nothing is to be adopted",
			     folder);
	return ctl_report(ctl, ctl->node_id, &findings);
}
