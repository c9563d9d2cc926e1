/* Notes that a killed rclone left empty. */
#include "s3/vfs_mend.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"

enum { NOTE_LIMIT = 8 << 20, PIECE = 1 << 16, GAP = 64 };

/* What of a file is there, as rclone's list of ranges; borrowed, the note owns it. */
struct scan {
	json_t *ranges;
	int64_t begin, zeros; /* of the range, of the run of zeros at its end; -1: no run */
};

static void close_walk(FTS **walk)
{
	if (*walk)
		fts_close(*walk);
}

static void add_range(struct scan *scan, int64_t end)
{
	if (end <= scan->begin)
		return;
	json_t *range = json_object();
	json_object_set_new(range, "Pos", json_integer(scan->begin));
	json_object_set_new(range, "Size", json_integer(end - scan->begin));
	json_array_append_new(scan->ranges, range);
}

static void end_zeros(struct scan *scan, int64_t at)
{
	if (scan->zeros >= 0 && at - scan->zeros >= GAP) {
		add_range(scan, scan->zeros);
		scan->begin = at;
	}
	scan->zeros = -1;
}

static void scan_piece(struct scan *scan, const char *bytes, size_t size, int64_t at)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != 0)
			end_zeros(scan, at + (int64_t)i);
		else if (scan->zeros < 0)
			scan->zeros = at + (int64_t)i;
	}
}

static int scan_file(int fd, int64_t size, struct scan *scan)
{
	char bytes[PIECE];
	int64_t at = 0;

	while (at < size) {
		off_t data = lseek(fd, at, SEEK_DATA);
		if (data < 0 && errno != ENXIO)
			return -errno;
		if (data != at && scan->zeros < 0)
			scan->zeros = at;
		if (data < 0)
			break;
		ssize_t got = pread(fd, bytes, sizeof(bytes), data);
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		scan_piece(scan, bytes, (size_t)got, data);
		at = data + got;
	}
	end_zeros(scan, size);
	add_range(scan, size);
	return 0;
}

static void set_time(json_t *note, const char *key, const struct timespec *when)
{
	char text[64], whole[96];
	struct tm utc;

	gmtime_r(&when->tv_sec, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(whole, sizeof(whole), "%s.%09ldZ", text, when->tv_nsec);
	json_object_set_new(note, key, json_string(whole));
}

static int write_note(const char *path, const json_t *note)
{
	auto_free char *text = json_text(note);
	auto_close int fd = open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int rc = fd_write_all(fd, text, strlen(text));
	return rc < 0 ? rc : fsync(fd) < 0 ? -errno : 0;
}

static int mend(const char *cache_dir, const char *note_path, uint64_t *files, struct err *e)
{
	const char *name = note_path + strlen(cache_dir) + strlen("/vfsMeta");
	auto_free char *path = xasprintf("%s/vfs%s", cache_dir, name);
	auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	auto_json json_t *note = json_object();
	struct scan scan = { .ranges = json_array(), .zeros = -1 };
	struct stat st;

	json_object_set_new(note, "Rs", scan.ranges);
	if (fd < 0 && errno == ENOENT)
		return 0; /* of a file that is gone */
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot look at a file of the cache '%s'", cache_dir);
	int rc = scan_file(fd, st.st_size, &scan);
	if (rc < 0)
		return err_sys(e, -rc, "cannot read a file of the cache '%s'", cache_dir);
	set_time(note, "ModTime", &st.st_mtim);
	set_time(note, "ATime", &st.st_mtim);
	json_object_set_new(note, "Size", json_integer(st.st_size));
	json_object_set_new(note, "Fingerprint", json_string(""));
	json_object_set_new(note, "Dirty", json_true());
	rc = write_note(note_path, note);
	if (rc < 0)
		return err_sys(e, -rc, "cannot mend a note of the cache '%s'", cache_dir);
	++*files;
	return 0;
}

/* A note that is too large to be looked at is whole: only an empty or short one is cut off. */
static int look_at(const char *cache_dir, const char *path, uint64_t *files, struct err *e)
{
	auto_close int here = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_free char *text = NULL;
	struct err ignored;
	int rc = here < 0 ? -errno : fd_read_file(here, path + 1, NOTE_LIMIT, &text);

	if (rc == -EFBIG)
		return 0;
	if (rc < 0 && rc != -EINVAL)
		return err_sys(e, -rc, "cannot read a note of the cache '%s'", cache_dir);
	auto_json json_t *note = text ? json_parse_object(text, "note", &ignored) : NULL;
	return note ? 0 : mend(cache_dir, path, files, e);
}

int vfs_mend(const char *cache_dir, uint64_t *ret_files, struct err *e)
{
	auto_free char *root = xasprintf("%s/vfsMeta", cache_dir);
	char *const roots[] = { root, NULL };
	CLEANUP(close_walk) FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);

	*ret_files = 0;
	if (!walk)
		return err_sys(e, errno, "cannot look into '%s'", root);
	for (FTSENT *entry; (entry = fts_read(walk));) {
		switch (entry->fts_info) {
		case FTS_F:
			if (look_at(cache_dir, entry->fts_path, ret_files, e) < 0)
				return -1;
			break;
		case FTS_NS:
		case FTS_DNR:
		case FTS_ERR:
			if (entry->fts_errno == ENOENT && entry->fts_level == 0)
				return 0;
			return err_sys(e, entry->fts_errno, "cannot look into '%s'", root);
		default:
			break;
		}
	}
	return 0;
}
