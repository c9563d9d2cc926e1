/*
 * rclone's notes on its cache: a file of JSON below CACHE_DIR/vfsMeta for each file below
 * CACHE_DIR/vfs, under the same name.
 *
 * Both trees belong to rclone's user, and we read them as root: everything is opened below the
 * cache by its descriptor, and a symbolic link on the way is an error. Otherwise an rclone that is
 * not itself could send us to any file of the node by exchanging a folder.
 */
#ifndef S3_VFS_NOTES_H
#define S3_VFS_NOTES_H

#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"

/* One note, borrowed during the call. */
struct vfs_note {
	int cache_fd;
	const char *name;   /* "/c/folder/file": below "vfs" and "vfsMeta" */
	const json_t *json; /* NULL: it cannot be understood */
	bool too_large;	    /* to be looked at: then json is NULL too */
};

/* 0, or -1 with `e` filled: then the walk ends. */
typedef int vfs_note_fn(const struct vfs_note *note, void *data, struct err *e);

/*
 * Calls `see` for every note. No folder of notes at all is no note. What is neither a file nor a
 * folder is an error: rclone makes no such thing, and nobody knows what it stands for.
 */
int vfs_notes_each(const char *cache_dir, vfs_note_fn *see, void *data, struct err *e) MUST_CHECK;

/* Opens the note itself, or the file that it is about. A descriptor, or -errno. */
int vfs_note_open(const struct vfs_note *note, int flags) MUST_CHECK;
int vfs_note_open_file(const struct vfs_note *note, int flags) MUST_CHECK;

#endif
