/* What all kinds of store have in common. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_ops.h"

void store_close(struct store *store)
{
	if (store)
		store->ops->close(store);
}

int store_fd(const struct store *store)
{
	return store->ops->fd(store);
}

int store_get(struct store *store, const char *id, struct volume_record *ret_record, struct err *e)
{
	return store->ops->get(store, id, ret_record, e);
}

int store_put(struct store *store, const struct volume_record *record, struct err *e)
{
	return store->ops->put(store, record, e);
}

int store_remove(struct store *store, const char *id, struct err *e)
{
	return store->ops->remove(store, id, e);
}

int store_each(struct store *store, store_each_fn *each, void *data, struct err *e)
{
	return store->ops->each(store, each, data, e);
}

void store_ids_add(struct store_ids *list, const char *id)
{
	if (list->count % 64 == 0)
		list->ids = xrealloc(list->ids, (list->count + 64) * sizeof(*list->ids));
	list->ids[list->count++] = xstrdup(id);
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_list(struct store *store, const char *after, size_t max, char ***ret_ids,
	       size_t *ret_count, bool *ret_more, struct err *e)
{
	char **ids = NULL;
	size_t count = 0;

	if (store->ops->ids(store, after, &ids, &count, e) < 0)
		return -1;
	if (count)
		qsort(ids, count, sizeof(*ids), compare_ids);
	*ret_more = max && count > max;
	while (max && count > max)
		free(ids[--count]);
	*ret_ids = ids;
	*ret_count = count;
	return 0;
}

void store_ids_free(char **ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(ids[i]);
	free(ids);
}
