/* /proc/self/mountinfo (proc_pid_mountinfo(5)): the only way we ask what is mounted. A stat(2) of
 * a mounted path can hang; reading this file cannot. */
#ifndef SYS_MOUNTINFO_H
#define SYS_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct mount_entry {
	int id, parent_id;
	dev_t device;
	char *root;    /* path inside the file system */
	char *target;  /* mount point, octal escapes resolved */
	char *options; /* of the mount: "rw,relatime" */
	bool shared;   /* has a "shared:N" tag */
	char *type;
	char *source;
	char *super_options;
};

struct mount_table {
	struct mount_entry *entries;
	size_t count;
};

/* Parses the text of a mountinfo file. Pure. A malformed line is INTERNAL naming its number. */
int mount_table_parse(const char *text, struct mount_table *ret_table, struct err *e) MUST_CHECK;

/* Reads and parses the calling process's mounts. Release with mount_table_done(). */
int mount_table_read(struct mount_table *ret_table, struct err *e) MUST_CHECK;
void mount_table_done(struct mount_table *table);
#define auto_mount_table __attribute__((cleanup(mount_table_done)))

/* The topmost mount exactly at this path, or NULL. Borrowed. */
const struct mount_entry *mount_table_at(const struct mount_table *table, const char *path);

/* The mount that the path lies on (longest prefix, topmost), or NULL. Borrowed. */
const struct mount_entry *mount_table_covering(const struct mount_table *table, const char *path);

/* Whether a comma-separated option list (options, super_options) has this word. */
bool mount_has_option(const char *options, const char *word);

#endif
