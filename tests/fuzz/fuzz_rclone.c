/* What rclone says, and the notes that it keeps on its cache: s3/rclone_*.c and s3/vfs_meta.c. */
#include "input.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "s3/rclone_error.h"
#include "s3/rclone_version.h"
#include "s3/vfs_meta.h"

static char folder[] = "/dev/shm/lcw-fuzz-meta.XXXXXX";
static int notes = -1;

static void remove_folder(void)
{
	char path[128];

	unlinkat(notes, "note", 0);
	snprintf(path, sizeof(path), "%s/vfsMeta", folder);
	rmdir(path);
	rmdir(folder);
}

static void make_folder(void)
{
	char path[128];

	FUZZ_CHECK(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/vfsMeta", folder);
	FUZZ_CHECK(mkdir(path, 0700) == 0);
	notes = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	atexit(remove_folder);
}

/* A note that is not a clean "not dirty" must be counted: what it stands for would be lost. */
static void check_note(const char *text)
{
	uint64_t files = 0, bytes = 0;
	struct err e = { 0 };

	if (notes < 0)
		make_folder();
	auto_close int out = openat(notes, "note", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FUZZ_CHECK(out >= 0 && fd_write_all(out, text, strlen(text)) == 0);
	if (vfs_meta_dirty(folder, &files, &bytes, &e) < 0)
		check_error(&e);
	else
		FUZZ_CHECK(files == 1 || (files == 0 && strstr(text, "false")));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	uint8_t mode = input_u8(&input);
	auto_free char *text = input_text(&input);
	struct err e = { 0 };

	if (mode & 1) {
		check_note(text);
		return 0;
	}
	rclone_fault(text);
	rclone_refused(text, mode & 2 ? "s3.example.org" : NULL, "bucket", &e);
	check_error(&e);
	if (rclone_version_check(text, &e) < 0)
		check_error(&e);
	else
		FUZZ_CHECK(strncmp(text, "rclone v", 8) == 0);
	return 0;
}
