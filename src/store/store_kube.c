/* Records as LUKSVolumes of the cluster. */
#include "store/store_kube.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/answer.h"
#include "store/store_ops.h"

struct store_kube {
	struct store store;
	struct kube_client *client;
};

static struct kube_client *client_of(struct store *store)
{
	return ((struct store_kube *)store)->client;
}

static char *path_of(const char *id)
{
	char name[LUKSVOLUME_NAME_SIZE];

	luksvolume_name(id, name);
	return kube_path(LUKSVOLUMES, name, NULL, NULL);
}

static int refuse_kind(struct err *e)
{
	err_set(e, ERR_FAILED_PRECONDITION,
		"the cluster does not know LUKSVolumes: apply the CRDs of the chart "
		"(helm show crds CHART | kubectl apply -f -)");
	e->sys = ENODEV;
	return -1;
}

int store_kube_object(struct kube_client *client, const char *id, json_t **ret_object,
		      struct err *e)
{
	auto_free char *path = path_of(id);

	if (kube_get(client, path, ret_object, e) == 0)
		return 0;
	if (answer_is_of_no_kind(e))
		return refuse_kind(e);
	return e->code == ERR_NOT_FOUND
		       ? err_set(e, ERR_NOT_FOUND, "volume '%s' does not exist", id)
		       : -1;
}

int store_kube_look(struct kube_client *client, const char *id, struct luksvolume *ret_volume,
		    struct err *e)
{
	auto_json json_t *object = NULL;

	if (store_kube_object(client, id, &object, e) < 0)
		return -1;
	if (luksvolume_parse(object, ret_volume, e) < 0)
		return -1;
	if (strcmp(ret_volume->record.id, id) == 0)
		return 0;
	volume_record_done(&ret_volume->record);
	return err_set(e, ERR_FAILED_PRECONDITION,
		       "LUKSVolume of volume '%s' is that of volume '%s'", id,
		       ret_volume->record.id);
}

static int kube_store_get(struct store *store, const char *id, struct volume_record *ret_record,
			  struct err *e)
{
	struct luksvolume volume;

	if (store_kube_look(client_of(store), id, &volume, e) < 0)
		return -1;
	*ret_record = volume.record;
	return 0;
}

static int create(struct kube_client *client, const struct volume_record *record, struct err *e)
{
	auto_json json_t *object = luksvolume_object(record);

	if (kube_create(client, LUKSVOLUMES, object, NULL, e) == 0)
		return 0;
	if (e->code == ERR_NOT_FOUND)
		return refuse_kind(e);
	return e->code == ERR_ALREADY_EXISTS
		       ? err_set(e, ERR_ABORTED, "volume '%s' is being created by another call",
				 record->id)
		       : -1;
}

static int want_capacity(struct kube_client *client, const char *path, uint64_t bytes,
			 struct err *e)
{
	char text[QUANTITY_SIZE];

	quantity_format(bytes, text);
	auto_json json_t *patch = json_pack("{s:{s:s}}", "spec", "capacity", text);
	return kube_patch(client, path, patch, NULL, e);
}

/* The index of our finalizer in the list, or its size. */
static size_t find_finalizer(const json_t *list)
{
	size_t at = 0;

	while (at < json_array_size(list) &&
	       strcmp(json_string_value(json_array_get(list, at)), LUKSVOLUME_FINALIZER) != 0)
		at++;
	return at;
}

/* `data` is the UID of the object as it was seen: another one of its name is left as it is. */
static int add_finalizer(void *data, json_t *object, struct err *e)
{
	json_t *metadata = json_object_get(object, "metadata");
	const char *uid = json_string_value(json_object_get(metadata, "uid"));
	json_t *list = json_object_get(metadata, "finalizers");

	(void)e;
	if (!uid || strcmp(uid, data) != 0 || find_finalizer(list) < json_array_size(list))
		return 0;
	if (!list) {
		list = json_array();
		json_object_set_new(metadata, "finalizers", list);
	}
	json_array_append_new(list, json_string(LUKSVOLUME_FINALIZER));
	return 1;
}

/* The answer to the patch may have been lost, and then its repetition meets what it made itself. */
static bool is_condemned(struct kube_client *client, const char *path, const char *uid)
{
	auto_json json_t *object = NULL;
	struct err ignored;

	if (kube_get(client, path, &object, &ignored) < 0)
		return false;
	const char *now =
		json_string_value(json_object_get(json_object_get(object, "metadata"), "uid"));
	return now && strcmp(now, uid) == 0 &&
	       json_is_true(json_object_get(json_object_get(object, "spec"), "destroy"));
}

/*
 * A node destroys data only where it is written that they are to be: an object may also be deleted
 * by hand, or with its kind. `version`: only while the object is as it was then; or NULL.
 */
static int condemn(struct kube_client *client, const char *path, const struct luksvolume *volume,
		   const char *version, struct err *e)
{
	auto_json json_t *patch =
		json_pack("{s:{s:s, s:s*}, s:{s:b}}", "metadata", "uid", volume->uid,
			  "resourceVersion", version, "spec", "destroy", true);

	if (!volume->may_destroy && kube_patch(client, path, patch, NULL, e) < 0 &&
	    (e->code != ERR_ABORTED || !is_condemned(client, path, volume->uid)))
		return -1;
	return volume->is_going ? 0 : kube_delete(client, path, volume->uid, e);
}

/* The object must stay until the data are gone: somebody may have taken its finalizer. */
static int destroy(struct kube_client *client, const char *path, struct luksvolume *now,
		   struct err *e)
{
	if (!now->is_going && !now->has_finalizer &&
	    kube_update(client, path, add_finalizer, now->uid, e) < 0)
		return -1;
	return condemn(client, path, now, NULL, e);
}

int store_kube_take_back(struct kube_client *client, const struct luksvolume *volume, struct err *e)
{
	auto_free char *path = path_of(volume->record.id);

	return condemn(client, path, volume, volume->version, e);
}

static int kube_store_put(struct store *store, const struct volume_record *record, struct err *e)
{
	struct kube_client *client = client_of(store);
	auto_free char *path = path_of(record->id);
	struct luksvolume now;

	if (store_kube_look(client, record->id, &now, e) < 0)
		return e->code == ERR_NOT_FOUND ? create(client, record, e) : -1;
	volume_record_done(&now.record);
	if (volume_is_going(record))
		return destroy(client, path, &now, e);
	if (now.is_going)
		return err_set(e, ERR_ABORTED, "volume '%s' is being deleted", record->id);
	return now.wanted_bytes == record->capacity_bytes
		       ? 0
		       : want_capacity(client, path, record->capacity_bytes, e);
}

static int drop_finalizer(void *data, json_t *object, struct err *e)
{
	json_t *list = json_object_get(json_object_get(object, "metadata"), "finalizers");
	size_t at = find_finalizer(list);

	(void)data;
	(void)e;
	return at < json_array_size(list) && json_array_remove(list, at) == 0 ? 1 : 0;
}

int store_kube_let_go(struct kube_client *client, const char *id, struct err *e)
{
	auto_free char *path = path_of(id);

	if (kube_update(client, path, drop_finalizer, NULL, e) == 0 || e->code == ERR_NOT_FOUND)
		return 0;
	return -1;
}

static int kube_store_remove(struct store *store, const char *id, struct err *e)
{
	struct kube_client *client = client_of(store);
	auto_free char *path = path_of(id);
	struct luksvolume now;

	if (store_kube_look(client, id, &now, e) < 0)
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	volume_record_done(&now.record);
	return destroy(client, path, &now, e) < 0 ? -1 : store_kube_let_go(client, id, e);
}

struct listing {
	const char *after;
	struct store_ids *ids;
	store_each_fn *each;
	void *data;
};

static const char *id_of(const json_t *object)
{
	const char *id =
		json_string_value(json_object_get(json_object_get(object, "spec"), "volumeID"));

	return id ? id : "";
}

static int add_id(void *data, const json_t *object, struct err *e)
{
	struct listing *listing = data;
	const char *id = id_of(object);

	(void)e;
	if (strcmp(id, listing->after) > 0)
		store_ids_add(listing->ids, id);
	return 0;
}

static int kube_store_ids(struct store *store, const char *after, char ***ret_ids,
			  size_t *ret_count, struct err *e)
{
	struct store_ids ids = { 0 };
	struct listing listing = { .after = after, .ids = &ids };

	if (kube_list(client_of(store), LUKSVOLUMES, NULL, add_id, &listing, e) < 0) {
		store_ids_free(ids.ids, ids.count);
		return -1;
	}
	*ret_ids = ids.ids;
	*ret_count = ids.count;
	return 0;
}

static int tell_one(void *data, const json_t *object, struct err *e)
{
	struct listing *listing = data;
	struct luksvolume volume = { 0 };
	bool good = luksvolume_parse(object, &volume, e) == 0;
	int rc = listing->each(listing->data, id_of(object), good ? &volume.record : NULL, e);

	volume_record_done(&volume.record);
	return rc;
}

static int kube_store_each(struct store *store, store_each_fn *each, void *data, struct err *e)
{
	struct listing listing = { .each = each, .data = data };

	return kube_list(client_of(store), LUKSVOLUMES, NULL, tell_one, &listing, e);
}

static int kube_store_fd(const struct store *store)
{
	(void)store;
	return -1;
}

static void kube_store_close(struct store *store)
{
	free(store);
}

struct store *store_kube_new(struct kube_client *client)
{
	static const struct store_ops ops = {
		.close = kube_store_close,
		.fd = kube_store_fd,
		.get = kube_store_get,
		.put = kube_store_put,
		.remove = kube_store_remove,
		.ids = kube_store_ids,
		.each = kube_store_each,
	};
	struct store_kube *store = xcalloc(1, sizeof(*store));

	store->store.ops = &ops;
	store->client = client;
	return &store->store;
}
