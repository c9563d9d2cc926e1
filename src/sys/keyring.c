/* The user keyring. */
#include "sys/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/secret.h"

enum { SIZE_MAX_BYTES = 32767 }; /* the kernel's, for a key of type "user" */

/* All rights for who has it, and for our user: a container has a session keyring of its own. */
#define ALL_RIGHTS 0x3f3f0000UL

static const char type[] = "user";

/* -1 with errno ENOKEY where there is none. */
static long find(const char *name)
{
	return syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, type, name, 0);
}

/* Made in the process's own keyring, where it may be changed, and linked in place of an old one. */
static int put(const char *name, const void *bytes, size_t size)
{
	long key = syscall(SYS_add_key, type, name, bytes, size, KEY_SPEC_PROCESS_KEYRING);

	if (key < 0 || syscall(SYS_keyctl, KEYCTL_SETPERM, key, ALL_RIGHTS) < 0 ||
	    syscall(SYS_keyctl, KEYCTL_LINK, key, KEY_SPEC_USER_KEYRING) < 0)
		return -errno;
	return 0;
}

int keyring_put(const char *name, int fd, struct err *e)
{
	struct stat st;
	int rc = -EFBIG;

	if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= SIZE_MAX_BYTES) {
		void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);

		rc = bytes == MAP_FAILED ? -errno : put(name, bytes, (size_t)st.st_size);
		if (bytes != MAP_FAILED)
			munmap(bytes, (size_t)st.st_size);
	}
	return rc < 0 ? err_sys(e, -rc, "cannot keep '%.200s' in the kernel's keyring", name) : 0;
}

static int make_file(const void *bytes, size_t size, int *ret_fd)
{
	enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };
	auto_close int fd = memfd_create("kept", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int rc = fd < 0 ? -errno : fd_write_all(fd, bytes, size);

	if (rc == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		rc = -errno;
	if (rc == 0)
		*ret_fd = TAKE(fd, -1);
	return rc;
}

int keyring_get(const char *name, int *ret_fd, struct err *e)
{
	char bytes[SIZE_MAX_BYTES];
	long key = find(name);
	long size = key < 0 ? -1 : syscall(SYS_keyctl, KEYCTL_READ, key, bytes, sizeof(bytes));
	int rc = size < 0 ? -errno : make_file(bytes, (size_t)size, ret_fd);

	secret_wipe(bytes, sizeof(bytes));
	/* A kernel without keyrings kept nothing. */
	if (rc == -ENOKEY || rc == -ENOSYS || rc == -EPERM) {
		*ret_fd = -1;
		return 0;
	}
	return rc < 0 ? err_sys(e, -rc, "cannot read '%.200s' from the kernel's keyring", name) : 0;
}

int keyring_drop(const char *name, struct err *e)
{
	long key = find(name);

	if (key < 0 || syscall(SYS_keyctl, KEYCTL_INVALIDATE, key) == 0 || errno == ENOKEY)
		return 0;
	return err_sys(e, errno, "cannot wipe '%.200s' in the kernel's keyring", name);
}
