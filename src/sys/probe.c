/* What lies on a device. */
#include "sys/probe.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

enum { LOOKED_AT = 1 << 20, STEP = 64 * 1024 };

/* libblkid takes some read errors for "nothing there": so the places are read here first. */
static int check_readable(int fd, const char *shown, off_t from, off_t length, struct err *e)
{
	static unsigned char bytes[STEP];

	for (off_t at = from; at < from + length;) {
		ssize_t got = pread(fd, bytes, STEP, at);

		if (got < 0 && errno == EINTR)
			continue;
		/* A read that meets a bad place ends short of it: the next one says so. */
		if (got <= 0)
			return err_set(e, ERR_FAILED_PRECONDITION,
				       "cannot read '%s' at byte %lld: %s; what is there is not "
				       "known, and nothing is changed",
				       shown, (long long)at,
				       got < 0 ? strerror(errno) : "it ends there");
		at += got;
	}
	return 0;
}

static void lookup(blkid_probe probe, const char *name, char *value, size_t size)
{
	const char *text = NULL;

	if (blkid_probe_lookup_value(probe, name, &text, NULL) == 0 && text)
		snprintf(value, size, "%s", text);
}

static void cleanup_probe(blkid_probe *probe)
{
	blkid_free_probe(*probe);
}

/* type NULL: everything that libblkid knows. */
static int look(int fd, const char *shown_name, const char *type, struct probe *ret_probe,
		struct err *e)
{
	__attribute__((cleanup(cleanup_probe))) blkid_probe probe = blkid_new_probe();
	off_t size = lseek(fd, 0, SEEK_END);
	char *types[] = { (char *)type, NULL };

	memset(ret_probe, 0, sizeof(*ret_probe));
	if (!probe || size < 0)
		return err_sys(e, errno ? errno : ENOMEM, "cannot look at '%s'", shown_name);
	if (size == 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s' is empty: it has no bytes to look at", shown_name);
	off_t head = size < LOOKED_AT ? size : LOOKED_AT;
	if (check_readable(fd, shown_name, 0, head, e) < 0 ||
	    check_readable(fd, shown_name, size - head, head, e) < 0)
		return -1;
	if (blkid_probe_set_device(probe, fd, 0, 0) < 0)
		return err_sys(e, errno, "cannot look at '%s'", shown_name);
	blkid_probe_enable_superblocks(probe, 1);
	/* A superblock that does not fit its checksum is damaged, not absent. */
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID |
							 BLKID_SUBLKS_BADCSUM);
	if (!type)
		blkid_probe_enable_partitions(probe, 1);
	else if (blkid_probe_filter_superblocks_type(probe, BLKID_FLTR_ONLYIN, types) < 0)
		return err_set(e, ERR_INTERNAL, "libblkid does not know the type '%s'", type);

	int rc = blkid_do_safeprobe(probe);
	if (rc == 1) {
		ret_probe->kind = PROBE_BLANK;
		return 0;
	}
	if (rc == -2)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s' holds more than one signature: what is there is not known, "
			       "and nothing is changed",
			       shown_name);
	if (rc < 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "cannot tell what is on '%s', and nothing is changed", shown_name);
	ret_probe->kind = PROBE_KNOWN;
	lookup(probe, "TYPE", ret_probe->type, sizeof(ret_probe->type));
	if (!*ret_probe->type)
		lookup(probe, "PTTYPE", ret_probe->type, sizeof(ret_probe->type));
	lookup(probe, "UUID", ret_probe->uuid, sizeof(ret_probe->uuid));
	return 0;
}

int probe_fd(int fd, const char *shown_name, struct probe *ret_probe, struct err *e)
{
	return look(fd, shown_name, NULL, ret_probe, e);
}

int probe_fd_type(int fd, const char *shown_name, const char *type, struct probe *ret_probe,
		  struct err *e)
{
	return look(fd, shown_name, type, ret_probe, e);
}

int probe_clear(const char *device, struct err *e)
{
	static const unsigned char zeros[LOOKED_AT];
	auto_close int fd = open(device, O_WRONLY | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	size_t length = size < LOOKED_AT ? (size_t)size : LOOKED_AT;

	if (size < 0 || lseek(fd, 0, SEEK_SET) < 0 || fd_write_all(fd, zeros, length) < 0 ||
	    lseek(fd, -(off_t)length, SEEK_END) < 0 || fd_write_all(fd, zeros, length) < 0 ||
	    fsync(fd) < 0)
		return err_sys(e, errno, "cannot clear '%s' before it is formatted", device);
	return 0;
}
