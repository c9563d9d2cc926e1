/*
 * A copy of an image's LUKS header and keyslots, kept in a file beside the image: what brings the
 * data back when the header was overwritten. Whoever has it and a passphrase of its time can open
 * the image, so it is destroyed, not only unlinked, when it is replaced or no longer wanted.
 *
 * The caller holds the volume's lock. The header of the image is never written here but by
 * luks_backup_restore().
 */
#ifndef SYS_LUKS_BACKUP_H
#define SYS_LUKS_BACKUP_H

#include <stdbool.h>

#include "base/err.h"
#include "sys/luks.h"

#define LUKS_BACKUP_NAME "luks-header.backup"

enum luks_backup_state {
	LUKS_BACKUP_MISSING,
	LUKS_BACKUP_CURRENT, /* the same header as the image's */
	LUKS_BACKUP_STALE,   /* of the same UUID, but another state of its header */
	LUKS_BACKUP_FOREIGN, /* of another UUID */
	LUKS_BACKUP_DAMAGED, /* no whole LUKS header */
};

/*
 * Compares the backup in dir_fd with the header of the image, which must be whole
 * (FAILED_PRECONDITION says what is wrong with it). `every_byte` reads the keyslots too, some
 * 16 MiB of each; otherwise the headers with their checksums are compared.
 */
int luks_backup_look(int dir_fd, int image_fd, bool every_byte, enum luks_backup_state *ret_state,
		     struct err *e) MUST_CHECK;

/*
 * Makes or replaces the backup from the image's header, which must be whole. A crash or a power
 * cut leaves the old or the new one; an old one is overwritten before its blocks are given back.
 */
int luks_backup_write(int dir_fd, int image_fd, struct err *e) MUST_CHECK;

/* Opens the backup for reading. NOT_FOUND when there is none. */
int luks_backup_open(int dir_fd, int *ret_fd, struct err *e) MUST_CHECK;

/* Writes the backup over the header of the image, and syncs it. The caller has made all checks. */
int luks_backup_restore(int dir_fd, int image_fd, struct err *e) MUST_CHECK;

/* Destroys what a crash left of an unfinished or replaced backup. None is success. */
int luks_backup_sweep(int dir_fd, struct err *e) MUST_CHECK;

/* Overwrites and removes the backup, and what a crash left of one. None is success. */
int luks_backup_destroy(int dir_fd, struct err *e) MUST_CHECK;

#endif
