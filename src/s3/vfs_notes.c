/* rclone's notes on its cache. */
#include "s3/vfs_notes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mem.h"

#define NOTES "vfsMeta"
#define FILES "vfs"

/* The list of cached ranges grows with random writes; a note larger than this is not read. */
enum { NOTE_LIMIT = 8 << 20 };

/* A folder that was seen and not entered yet. */
struct pending {
	struct pending *next;
	char path[]; /* below the cache */
};

struct walk {
	const char *cache_dir; /* for sentences */
	int cache_fd;
	struct pending *pending;
	vfs_note_fn *see;
	void *data;
};

static void walk_done(struct walk *walk)
{
	cleanup_close(&walk->cache_fd);
	while (walk->pending) {
		struct pending *first = walk->pending;

		walk->pending = first->next;
		free(first);
	}
}

static void enter_later(struct walk *walk, const char *path)
{
	size_t size = strlen(path) + 1;
	struct pending *one = xcalloc(1, sizeof(*one) + size);

	memcpy(one->path, path, size);
	one->next = walk->pending;
	walk->pending = one;
}

/* The names in it are a user's, in plain text: no sentence tells one. */
static int cannot_look(const struct walk *walk, int errnum, struct err *e)
{
	return err_sys(e, errnum, "cannot look at rclone's notes in the cache '%s'",
		       walk->cache_dir);
}

static int see_note(const struct walk *walk, const char *path, struct err *e)
{
	auto_free char *text = NULL;
	struct err ignored;
	int rc = fd_read_file(walk->cache_fd, path, NOTE_LIMIT, &text);

	if (rc == -ENOENT) /* an rclone that runs has just removed it */
		return 0;
	if (rc < 0 && rc != -EFBIG && rc != -EINVAL)
		return cannot_look(walk, -rc, e);
	auto_json json_t *json = text ? json_parse_object(text, "note", &ignored) : NULL;
	const struct vfs_note note = { .cache_fd = walk->cache_fd,
				       .name = path + strlen(NOTES),
				       .json = json,
				       .too_large = rc == -EFBIG };

	return walk->see(&note, walk->data, e);
}

static int see_entry(struct walk *walk, int folder_fd, const char *folder, const char *name,
		     struct err *e)
{
	auto_free char *path = xasprintf("%s/%s", folder, name);
	struct stat st;

	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : cannot_look(walk, errno, e);
	if (S_ISREG(st.st_mode))
		return see_note(walk, path, e);
	if (!S_ISDIR(st.st_mode))
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"among rclone's notes in the cache '%s' is something that is neither "
			"a file nor a folder: rclone makes no such thing, so it is not known "
			"what waits for S3",
			walk->cache_dir);
	enter_later(walk, path);
	return 0;
}

/* One that is not there holds nothing. */
static int see_folder(struct walk *walk, const char *path, struct err *e)
{
	int fd = fd_open_beneath(walk->cache_fd, path, O_RDONLY | O_DIRECTORY, 0);
	auto_closedir DIR *folder = fd < 0 ? NULL : fdopendir(fd);

	if (fd < 0)
		return fd == -ENOENT ? 0 : cannot_look(walk, -fd, e);
	if (!folder) {
		int errnum = errno;

		close(fd);
		return cannot_look(walk, errnum, e);
	}
	for (const struct dirent *entry; (errno = 0, entry = readdir(folder));) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
		    see_entry(walk, fd, path, name, e) < 0)
			return -1;
	}
	return errno ? cannot_look(walk, errno, e) : 0;
}

int vfs_notes_each(const char *cache_dir, vfs_note_fn *see, void *data, struct err *e)
{
	CLEANUP(walk_done)
	struct walk walk = {
		.cache_dir = cache_dir,
		.cache_fd = open(cache_dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
		.see = see,
		.data = data,
	};

	if (walk.cache_fd < 0)
		return err_sys(e, errno, "cannot open the cache '%s'", cache_dir);
	if (see_folder(&walk, NOTES, e) < 0)
		return -1;
	while (walk.pending) {
		auto_free struct pending *first = walk.pending;

		walk.pending = first->next;
		if (see_folder(&walk, first->path, e) < 0)
			return -1;
	}
	return 0;
}

static int open_in(const struct vfs_note *note, const char *tree, int flags)
{
	auto_free char *path = xasprintf("%s%s", tree, note->name);

	/* A pipe in its place must not hold us. */
	return fd_open_beneath(note->cache_fd, path, flags | O_NONBLOCK | O_NOCTTY, 0);
}

int vfs_note_open(const struct vfs_note *note, int flags)
{
	return open_in(note, NOTES, flags);
}

int vfs_note_open_file(const struct vfs_note *note, int flags)
{
	return open_in(note, FILES, flags);
}
