/* What rclone's notes say is not uploaded. */
#include "s3/vfs_meta.h"

#include "s3/vfs_notes.h"

struct count {
	uint64_t files, bytes;
};

/* What cannot be understood is dirty. */
static int add_note(const struct vfs_note *note, void *data, struct err *e)
{
	struct count *count = data;
	const json_t *dirty = json_object_get(note->json, "Dirty");
	json_int_t size = json_integer_value(json_object_get(note->json, "Size"));

	(void)e;
	if (json_is_false(dirty))
		return 0;
	count->files++;
	count->bytes += size > 0 ? (uint64_t)size : 0;
	return 0;
}

int vfs_meta_dirty(const char *cache_dir, uint64_t *ret_files, uint64_t *ret_bytes, struct err *e)
{
	struct count count = { 0 };
	int rc = vfs_notes_each(cache_dir, add_note, &count, e);

	*ret_files = count.files;
	*ret_bytes = count.bytes;
	return rc;
}
