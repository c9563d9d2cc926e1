/* What a kind of store implements; as store.h says. */
#ifndef STORE_STORE_OPS_H
#define STORE_STORE_OPS_H

#include "store/store.h"

struct store_ops {
	void (*close)(struct store *store);
	int (*fd)(const struct store *store);
	int (*get)(struct store *store, const char *id, struct volume_record *ret_record,
		   struct err *e);
	int (*put)(struct store *store, const struct volume_record *record, struct err *e);
	int (*remove)(struct store *store, const char *id, struct err *e);
	/* All ids that sort after `after`, in no order. */
	int (*ids)(struct store *store, const char *after, char ***ret_ids, size_t *ret_count,
		   struct err *e);
	int (*each)(struct store *store, store_each_fn *each, void *data, struct err *e);
};

/* The first member of every kind. */
struct store {
	const struct store_ops *ops;
};

/* A list of ids that grows; starts zeroed. `id` is copied. */
struct store_ids {
	char **ids;
	size_t count;
};
void store_ids_add(struct store_ids *ids, const char *id);

#endif
