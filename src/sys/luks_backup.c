/* The backup of a LUKS header. */
#include "sys/luks_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "sys/image.h"
#include "sys/luks_header.h"
#include "sys/luks_session.h"

/* A new backup before it is complete, and an old one before it is destroyed. */
#define TEMPORARY_NAME "." LUKS_BACKUP_NAME ".tmp"

#define PATH_SIZE 96

/* libcryptsetup wants paths. */
static void path_of(int fd, const char *name, char ret_path[PATH_SIZE])
{
	snprintf(ret_path, PATH_SIZE, "/proc/self/fd/%d%s%s", fd, *name ? "/" : "", name);
}

int luks_backup_open(int dir_fd, int *ret_fd, struct err *e)
{
	auto_close int fd =
		fd_open_beneath(dir_fd, LUKS_BACKUP_NAME, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd == -ENOENT)
		return err_set(e, ERR_NOT_FOUND, "the header backup '%s' does not exist",
			       LUKS_BACKUP_NAME);
	if (fd < 0)
		return err_sys(e, -fd, "cannot open the header backup '%s'", LUKS_BACKUP_NAME);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the header backup '%s' is not a regular file", LUKS_BACKUP_NAME);
	*ret_fd = TAKE(fd, -1);
	return 0;
}

static int read_at(int fd, void *bytes, size_t size, off_t at, size_t *ret_got, struct err *e)
{
	size_t used = 0;

	while (used < size) {
		ssize_t got = pread(fd, (char *)bytes + used, size - used, at + (off_t)used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, errno, "cannot read the LUKS header");
		if (got == 0)
			break;
		used += (size_t)got;
	}
	*ret_got = used;
	return 0;
}

/* Whether the first `length` bytes of the backup are those of the image; 0: all of it. */
static int compare(int backup_fd, int image_fd, off_t length, bool *ret_same, struct err *e)
{
	static unsigned char a[64 * 1024], b[sizeof(a)];
	struct stat st;
	size_t got_a, got_b;

	*ret_same = false;
	if (fstat(backup_fd, &st) < 0)
		return err_sys(e, errno, "cannot look at the header backup");
	if (st.st_size < length || st.st_size == 0)
		return 0;
	if (length == 0)
		length = st.st_size;
	for (off_t at = 0; at < length; at += (off_t)sizeof(a)) {
		size_t want = length - at < (off_t)sizeof(a) ? (size_t)(length - at) : sizeof(a);

		if (read_at(backup_fd, a, want, at, &got_a, e) < 0 ||
		    read_at(image_fd, b, want, at, &got_b, e) < 0)
			return -1;
		if (got_a != want || got_b != want || memcmp(a, b, want) != 0)
			return 0;
	}
	*ret_same = true;
	return 0;
}

/* The binary header: it holds the age and the checksum of all the rest but the keyslots. */
enum { BINARY_BYTES = 4096 };

int luks_backup_look(int dir_fd, int image_fd, bool every_byte, enum luks_backup_state *ret_state,
		     struct err *e)
{
	struct luks_header ours, copy;
	enum luks_probe kind;
	auto_close int fd = -1;
	struct err damage;
	bool same;

	if (luks_header_read(image_fd, &kind, &ours, e) < 0)
		return -1;
	if (kind == LUKS_ABSENT)
		return err_set(e, ERR_FAILED_PRECONDITION, "the image has no LUKS header");
	if (luks_backup_open(dir_fd, &fd, e) < 0) {
		*ret_state = LUKS_BACKUP_MISSING;
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	}
	*ret_state = LUKS_BACKUP_DAMAGED;
	if (luks_header_read(fd, &kind, &copy, &damage) < 0 || kind == LUKS_ABSENT)
		return 0;
	*ret_state = LUKS_BACKUP_FOREIGN;
	if (strcmp(ours.uuid, copy.uuid) != 0)
		return 0;
	if (compare(fd, image_fd, every_byte ? 0 : BINARY_BYTES, &same, e) < 0)
		return -1;
	*ret_state = same ? LUKS_BACKUP_CURRENT : LUKS_BACKUP_STALE;
	return 0;
}

/* Overwrites, then unlinks: also whoever kept a hard link can open nothing with it. */
static int destroy_one(int dir_fd, const char *name, struct err *e)
{
	auto_close int fd = fd_open_beneath(dir_fd, name, O_RDWR | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0 && fd != -ELOOP)
		return err_sys(e, -fd, "cannot open '%s' to destroy it", name);
	if (fd >= 0) {
		if (fstat(fd, &st) < 0)
			return err_sys(e, errno, "cannot look at '%s'", name);
		if (S_ISREG(st.st_mode) && image_erase_head(fd, (uint64_t)st.st_size, e) < 0)
			return err_wrap(e, "cannot destroy '%s'", name);
	}
	if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot remove '%s'", name);
	return fsync(dir_fd) < 0 ? err_sys(e, errno, "cannot sync the folder of '%s'", name) : 0;
}

int luks_backup_sweep(int dir_fd, struct err *e)
{
	return destroy_one(dir_fd, TEMPORARY_NAME, e);
}

int luks_backup_destroy(int dir_fd, struct err *e)
{
	return luks_backup_sweep(dir_fd, e) < 0 ? -1 : destroy_one(dir_fd, LUKS_BACKUP_NAME, e);
}

/* The backup under its temporary name, on disk and seen to be that of the image. */
static int write_temporary(int dir_fd, int image_fd, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };
	char image[PATH_SIZE], backup[PATH_SIZE];
	bool same;

	path_of(image_fd, "", image);
	path_of(dir_fd, TEMPORARY_NAME, backup);
	if (luks_session_load_whole(image, &session, e) < 0)
		return -1;
	int rc = session.lib->crypt_header_backup(session.device, NULL, backup);
	if (rc < 0)
		return luks_session_fail(&session, rc, "copy the LUKS header to", LUKS_BACKUP_NAME,
					 e);
	auto_close int fd = fd_open_beneath(dir_fd, TEMPORARY_NAME, O_RDWR, 0);
	if (fd < 0)
		return err_sys(e, -fd, "cannot open the new header backup");
	if (fchmod(fd, 0600) < 0 || fsync(fd) < 0)
		return err_sys(e, errno, "cannot sync the new header backup");
	if (compare(fd, image_fd, 0, &same, e) < 0)
		return -1;
	return same ? 0
		    : err_set(e, ERR_INTERNAL,
			      "the new header backup is not the same as the LUKS header");
}

/* With an exchange the old one keeps a name until it is destroyed, whatever happens between. */
static int put_in_place(int dir_fd, struct err *e)
{
	bool exists = faccessat(dir_fd, LUKS_BACKUP_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	if (syscall(SYS_renameat2, dir_fd, TEMPORARY_NAME, dir_fd, LUKS_BACKUP_NAME,
		    exists ? RENAME_EXCHANGE : RENAME_NOREPLACE) < 0)
		return err_sys(e, errno, "cannot put the header backup into its place");
	if (fsync(dir_fd) < 0)
		return err_sys(e, errno, "cannot sync the folder of the header backup");
	return exists ? destroy_one(dir_fd, TEMPORARY_NAME, e) : 0;
}

int luks_backup_write(int dir_fd, int image_fd, struct err *e)
{
	struct err ignored;

	if (destroy_one(dir_fd, TEMPORARY_NAME, e) < 0)
		return -1;
	if (write_temporary(dir_fd, image_fd, e) < 0) {
		/* What cannot be destroyed now is at the next call. */
		int rc = destroy_one(dir_fd, TEMPORARY_NAME, &ignored);
		(void)rc;
		return -1;
	}
	return put_in_place(dir_fd, e);
}

int luks_backup_restore(int dir_fd, int image_fd, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };
	char image[PATH_SIZE], backup[PATH_SIZE];
	auto_close int fd = -1;
	struct luks_header header;
	enum luks_probe kind;

	if (luks_backup_open(dir_fd, &fd, e) < 0 || luks_header_read(fd, &kind, &header, e) < 0)
		return -1;
	if (kind == LUKS_ABSENT)
		return err_set(e, ERR_FAILED_PRECONDITION, "'%s' holds no LUKS header",
			       LUKS_BACKUP_NAME);
	path_of(image_fd, "", image);
	path_of(fd, "", backup);
	if (luks_session_open(image, &session, e) < 0)
		return -1;
	int rc = session.lib->crypt_header_restore(session.device,
						   header.version == 1 ? CRYPT_LUKS1 : CRYPT_LUKS2,
						   backup);
	if (rc < 0)
		return luks_session_fail(&session, rc, "restore the LUKS header from",
					 LUKS_BACKUP_NAME, e);
	return fsync(image_fd) < 0 ? err_sys(e, errno, "cannot sync the restored LUKS header") : 0;
}
