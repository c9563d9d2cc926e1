/* sys/luks_backup.c: an image, and a header backup beside it that may be anything. */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/luks_backup.h"
#include "sys/luks_header.h"

static char folder[] = "/dev/shm/lcw-fuzz-backup.XXXXXX";

static void remove_folder(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, LUKS_BACKUP_NAME);
	unlink(path);
	rmdir(folder);
}

static int open_folder(void)
{
	static int fd = -1;

	if (fd < 0) {
		FUZZ_CHECK(mkdtemp(folder));
		atexit(remove_folder);
		fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd;
}

static void write_backup(int dir_fd, int disk)
{
	auto_close int out =
		openat(dir_fd, LUKS_BACKUP_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	off_t at = 0, size = lseek(disk, 0, SEEK_END);
	ssize_t sent;

	FUZZ_CHECK(out >= 0);
	while (at < size) {
		/* The alarm of libFuzzer's own clock is not restarted. */
		sent = TEMP_FAILURE_RETRY(sendfile(out, disk, &at, (size_t)(size - at)));
		FUZZ_CHECK(sent > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input whole = { bytes, size }, first = { 0 };
	size_t wanted = input_u16(&whole);
	enum luks_backup_state state;
	struct luks_header header;
	enum luks_probe kind;
	struct err e = { 0 }, e_header = { 0 };
	int dir_fd = open_folder();

	first.at = input_bytes(&whole, wanted, &first.left);
	auto_close int image = disk_make(&first);
	auto_close int backup = disk_make(&whole);
	write_backup(dir_fd, backup);
	if (luks_backup_look(dir_fd, image, true, &state, &e) < 0) {
		check_error(&e);
		return 0;
	}
	FUZZ_CHECK(state != LUKS_BACKUP_MISSING && state <= LUKS_BACKUP_DAMAGED);
	/* What is called current must be a whole header. */
	if (state == LUKS_BACKUP_CURRENT)
		FUZZ_CHECK(luks_header_read(backup, &kind, &header, &e_header) == 0 &&
			   kind == LUKS_PRESENT);
	return 0;
}
