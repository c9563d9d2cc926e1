/* Notes that a killed rclone left empty. */
#include "s3/vfs_mend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "s3/vfs_notes.h"

enum { PIECE = 1 << 16, GAP = 64 };

/* What of a file is there, as rclone's list of ranges; borrowed, the note owns it. */
struct scan {
	json_t *ranges;
	int64_t begin, zeros; /* of the range, of the run of zeros at its end; -1: no run */
};

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

static int write_note(const struct vfs_note *note, const json_t *json)
{
	auto_free char *text = json_text(json);
	auto_close int fd = vfs_note_open(note, O_WRONLY | O_TRUNC);

	if (fd < 0)
		return fd;
	int rc = fd_write_all(fd, text, strlen(text));
	return rc < 0 ? rc : fsync(fd) < 0 ? -errno : 0;
}

struct mending {
	const char *cache_dir; /* for sentences */
	uint64_t files;
};

static int mend(const struct vfs_note *note, struct mending *mending, struct err *e)
{
	auto_close int fd = vfs_note_open_file(note, O_RDONLY);
	auto_json json_t *json = json_object();
	struct scan scan = { .ranges = json_array(), .zeros = -1 };
	struct stat st;

	json_object_set_new(json, "Rs", scan.ranges);
	if (fd == -ENOENT)
		return 0; /* of a file that is gone */
	int rc = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (rc < 0)
		return err_sys(e, -rc, "cannot look at a file of the cache '%s'",
			       mending->cache_dir);
	rc = scan_file(fd, st.st_size, &scan);
	if (rc < 0)
		return err_sys(e, -rc, "cannot read a file of the cache '%s'", mending->cache_dir);
	set_time(json, "ModTime", &st.st_mtim);
	set_time(json, "ATime", &st.st_mtim);
	json_object_set_new(json, "Size", json_integer(st.st_size));
	json_object_set_new(json, "Fingerprint", json_string(""));
	json_object_set_new(json, "Dirty", json_true());
	rc = write_note(note, json);
	if (rc < 0)
		return err_sys(e, -rc, "cannot mend a note of the cache '%s'", mending->cache_dir);
	mending->files++;
	return 0;
}

/* A note that is too large to be looked at is whole: only an empty or short one is cut off. */
static int look_at(const struct vfs_note *note, void *data, struct err *e)
{
	return note->json || note->too_large ? 0 : mend(note, data, e);
}

int vfs_mend(const char *cache_dir, uint64_t *ret_files, struct err *e)
{
	struct mending mending = { .cache_dir = cache_dir };
	int rc = vfs_notes_each(cache_dir, look_at, &mending, e);

	*ret_files = mending.files;
	return rc;
}
