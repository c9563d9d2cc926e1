/* The folder of a local volume, opened: shared by the parts of the local engine only. */
#ifndef ENGINE_LOCAL_VOLUME_H
#define ENGINE_LOCAL_VOLUME_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"
#include "engine/local.h"
#include "volume/record.h"

struct local_volume {
	int dir_fd;    /* {host-root}{local-path}/{id}; -1: does not exist */
	int parent_fd; /* {host-root}{local-path} */
	char path[PATH_MAX + VOLUME_NAME_SIZE]; /* as people know it, without the host root */
	char id[VOLUME_ID_MAX + 1];
	char image[VOLUME_NAME_SIZE];
	char mapping[VOLUME_NAME_SIZE];
};
#define LOCAL_VOLUME_NONE ((struct local_volume){ .dir_fd = -1, .parent_fd = -1 })

/*
 * Opens the folder below local_path, without following symbolic links. With `make`, missing
 * folders are made (the volume's own 0700); without, dir_fd stays -1 when there is none.
 */
int local_volume_open(const struct node *node, const char *local_path, const char *id, bool make,
		      struct local_volume *ret_volume, struct err *e) MUST_CHECK;
void local_volume_done(struct local_volume *volume);

/*
 * Fences what changes the volume: a lock on its folder, until local_volume_done() and until every
 * program started meanwhile has ended. It is seen by every process on this machine, whatever
 * folder of locks that one was given. ABORTED while somebody else has it.
 */
int local_volume_lock(const struct local_volume *volume, struct err *e) MUST_CHECK;
#define auto_local_volume __attribute__((cleanup(local_volume_done)))

/* *ret_found false: no volume.json. A damaged one is FAILED_PRECONDITION. */
int local_record_read(const struct local_volume *volume, bool *ret_found,
		      struct volume_record *ret_record, struct err *e) MUST_CHECK;

/* Durable when it returns. */
int local_record_write(const struct local_volume *volume, const struct volume_record *record,
		       struct err *e) MUST_CHECK;

/* Opens the image of a volume that has a record: FAILED_PRECONDITION when it is missing. */
int local_image_open(const struct local_volume *volume, int flags, int *ret_fd,
		     struct err *e) MUST_CHECK;

/* Whether the image file is there. */
int local_image_exists(const struct local_volume *volume, bool *ret_exists,
		       struct err *e) MUST_CHECK;

/*
 * FAILED_PRECONDITION while the volume key is being replaced: header, backup and tail belong to
 * each other then, and `lcw volume reencrypt` goes on with them.
 */
int local_check_not_reencrypting(const struct volume_record *record, struct err *e) MUST_CHECK;

#endif
