/* Finding a volume that the store does not know (any more): its record lies beside its data. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "csi/local.h"

/* 0 found, 1 not in this folder, -1 an error that the caller must see. */
static int look_in(const struct csi_service *service, const char *local_path, const char *id,
		   struct volume_record *ret_record, struct err *e)
{
	auto_record struct volume_record found = { 0 };

	if (local_path_check(&service->node, local_path, id, e) < 0 ||
	    !local_folder_is_there(&service->node, local_path, id))
		return 1;
	if (local_load(&service->node, local_path, id, &found, e) < 0)
		return e->code == ERR_NOT_FOUND ? 1 : -1;
	/* A copy that somebody made is not the volume. */
	if (strcmp(found.params.value[PARAM_LOCAL_PATH], local_path) != 0)
		return 1;
	volume_record_copy(&found, ret_record);
	return 0;
}

/* The folders of the volumes that are known: a class is rarely used once. */
static int look_beside_others(const struct csi_service *service, const char *id,
			      struct volume_record *ret_record, struct err *e)
{
	char **ids = NULL;
	size_t count = 0;
	bool more;
	int rc = 1;

	if (store_list(service->store, "", 0, &ids, &count, &more, e) < 0)
		return -1;
	for (size_t i = 0; i < count && rc == 1; i++) {
		auto_record struct volume_record other = { 0 };
		struct err ignored;

		if (store_get(service->store, ids[i], &other, &ignored) == 0 &&
		    other.params.value[PARAM_LOCAL_PATH])
			rc = look_in(service, other.params.value[PARAM_LOCAL_PATH], id, ret_record,
				     e);
	}
	store_ids_free(ids, count);
	return rc;
}

int csi_find_volume(const struct csi_service *service, const char *id, const char *local_path,
		    struct volume_record *ret_record, struct err *e)
{
	int rc = 1;

	if (store_get(service->store, id, ret_record, e) == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	if (local_path && param_rules[PARAM_LOCAL_PATH].check(local_path))
		rc = look_in(service, local_path, id, ret_record, e);
	if (rc == 1)
		rc = look_in(service, param_rules[PARAM_LOCAL_PATH].initial, id, ret_record, e);
	for (size_t i = 0; i < service->node.allow_count && rc == 1; i++)
		rc = look_in(service, service->node.allow_paths[i], id, ret_record, e);
	if (rc == 1)
		rc = look_beside_others(service, id, ret_record, e);
	if (rc == 0)
		log_warn("a volume that the store does not know was found by its own record",
			 KV("volume", id));
	if (rc == 1)
		return err_set(e, ERR_NOT_FOUND, "volume '%s' does not exist", id);
	return rc;
}
