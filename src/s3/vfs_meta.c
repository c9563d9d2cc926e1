/* rclone's notes on its cache: JSON per file, in the same tree as the files. */
#include "s3/vfs_meta.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"

/* The list of cached ranges grows with random writes; a note larger than this is not read. */
enum { NOTE_LIMIT = 8 << 20 };

static void close_walk(FTS **walk)
{
	if (*walk)
		fts_close(*walk);
}

/* Adds one note. What cannot be understood is dirty. */
static int add_note(const char *path, uint64_t *files, uint64_t *bytes, struct err *e)
{
	auto_free char *text = NULL;
	struct err ignored;
	int rc;

	auto_close int here = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	rc = here < 0 ? -errno : fd_read_file(here, path + 1, NOTE_LIMIT, &text);
	if (rc < 0 && rc != -EFBIG && rc != -EINVAL)
		return err_sys(e, -rc, "cannot read '%s'", path);
	auto_json json_t *note = text ? json_parse_object(text, path, &ignored) : NULL;
	const json_t *dirty = json_object_get(note, "Dirty");
	json_int_t size = json_integer_value(json_object_get(note, "Size"));
	if (json_is_false(dirty))
		return 0;
	++*files;
	*bytes += size > 0 ? (uint64_t)size : 0;
	return 0;
}

int vfs_meta_dirty(const char *cache_dir, uint64_t *ret_files, uint64_t *ret_bytes, struct err *e)
{
	auto_free char *root = xasprintf("%s/vfsMeta", cache_dir);
	char *const roots[] = { root, NULL };
	CLEANUP(close_walk) FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);

	*ret_files = *ret_bytes = 0;
	if (!walk)
		return err_sys(e, errno, "cannot look into '%s'", root);
	for (FTSENT *entry; (entry = fts_read(walk));) {
		switch (entry->fts_info) {
		case FTS_F:
			if (add_note(entry->fts_path, ret_files, ret_bytes, e) < 0)
				return -1;
			break;
		case FTS_NS:
		case FTS_DNR:
		case FTS_ERR:
			if (entry->fts_errno == ENOENT && entry->fts_level == 0)
				return 0;
			return err_sys(e, entry->fts_errno, "cannot look at '%s'", entry->fts_path);
		default:
			break;
		}
	}
	return 0;
}
