/*
 * What exists: one record per volume, by id. This is the controller's view; for a local volume
 * the truth lies beside the data (volume.json), and the store mirrors it. Two kinds stand behind
 * these functions: a directory, and the cluster's LUKSVolumes (store/store_kube.h).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "volume/record.h"

struct store;

/*
 * The directory store: {state_dir}/volumes/{volumeID}.json, each written atomically. The folder
 * is made if missing, mode 0700. NULL with `e` filled on failure.
 */
struct store *store_dir_open(const char *state_dir, struct err *e);

/* NULL is fine. */
void store_close(struct store *store);

/* The descriptor that a forked worker needs to keep to use the store; -1: none. */
int store_fd(const struct store *store);

/*
 * The record of a volume; release with volume_record_done(). NOT_FOUND when there is none;
 * FAILED_PRECONDITION when the file is damaged, naming it.
 */
int store_get(struct store *store, const char *id, struct volume_record *ret_record,
	      struct err *e) MUST_CHECK;

/* Creates or replaces. Durable when it returns. RESOURCE_EXHAUSTED when the disk is full. */
int store_put(struct store *store, const struct volume_record *record, struct err *e) MUST_CHECK;

/* A record that is not there is success. Durable when it returns. */
int store_remove(struct store *store, const char *id, struct err *e) MUST_CHECK;

/*
 * At most `max` (0: all) ids that sort after `after` ("" for the first), sorted by byte value.
 * *ret_ids and its elements are owned by the caller: store_ids_free().
 */
int store_list(struct store *store, const char *after, size_t max, char ***ret_ids,
	       size_t *ret_count, bool *ret_more, struct err *e) MUST_CHECK;
void store_ids_free(char **ids, size_t count);

/*
 * Calls `each` with every record, in no order; a record that cannot be read is told as NULL, with
 * the reason. -1 of `each` ends it and is returned.
 */
typedef int store_each_fn(void *data, const char *id, const struct volume_record *record,
			  struct err *e);
int store_each(struct store *store, store_each_fn *each, void *data, struct err *e) MUST_CHECK;

#endif
