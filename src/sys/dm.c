/* Device-mapper, seen through /sys. */
#include "sys/dm.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/proc.h"

enum { TOOL_MS = 30 * 1000 };

static int read_attribute(unsigned minor, const char *name, char *value, size_t size)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/block/dm-%u/%s", minor, name);
	return fd_read_small(path, value, size);
}

/* N where the one device below is loopN, else -1. */
static int only_loop_below(unsigned minor)
{
	char path[64];
	int number = -1, count = 0;
	unsigned found;

	snprintf(path, sizeof(path), "/sys/block/dm-%u/slaves", minor);
	auto_closedir DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		if (sscanf(entry->d_name, "loop%u", &found) == 1)
			number = (int)found;
	}
	return count == 1 ? number : -1;
}

/* The name that people know, where it really is this device. */
static void choose_path(const char *name, struct dm_info *info)
{
	char path[192];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/mapper/%s", name);
	if (strlen(path) < sizeof(info->path) && stat(path, &st) == 0 && S_ISBLK(st.st_mode) &&
	    st.st_rdev == info->device)
		memcpy(info->path, path, strlen(path) + 1);
	else
		snprintf(info->path, sizeof(info->path), "/dev/dm-%u", info->minor);
}

static int describe(unsigned minor, const char *name, struct dm_info *info, struct err *e)
{
	char size[32], suspended[8], device[32];
	unsigned major, dev_minor;

	memset(info, 0, sizeof(*info));
	info->minor = minor;
	int rc = read_attribute(minor, "dm/uuid", info->uuid, sizeof(info->uuid));
	if (rc == 0)
		rc = read_attribute(minor, "dm/suspended", suspended, sizeof(suspended));
	if (rc == 0)
		rc = read_attribute(minor, "size", size, sizeof(size));
	if (rc == 0)
		rc = read_attribute(minor, "dev", device, sizeof(device));
	if (rc == 0 && sscanf(device, "%u:%u", &major, &dev_minor) != 2)
		rc = -EINVAL;
	if (rc < 0)
		return err_sys(e, -rc, "cannot look at mapping '%s' (/sys/block/dm-%u)", name,
			       minor);
	info->device = makedev(major, dev_minor);
	info->suspended = suspended[0] == '1';
	info->size_bytes = strtoull(size, NULL, 10) * 512;
	info->loop_number = only_loop_below(minor);
	choose_path(name, info);
	return 0;
}

int dm_find(const char *name, bool *ret_found, struct dm_info *ret_info, struct err *e)
{
	auto_closedir DIR *dir = opendir("/sys/block");
	unsigned minor;
	char seen[160];

	*ret_found = false;
	if (!dir)
		return err_sys(e, errno, "cannot list /sys/block");
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (sscanf(entry->d_name, "dm-%u", &minor) != 1)
			continue;
		int rc = read_attribute(minor, "dm/name", seen, sizeof(seen));
		/*
		 * One that is going is none: the kernel says EINVAL of a name then. One that cannot
		 * be read for another reason may be the one.
		 */
		if (rc == -ENOENT || rc == -ENODEV || rc == -EINVAL ||
		    (rc == 0 && strcmp(seen, name) != 0))
			continue;
		if (rc < 0)
			return err_sys(e, -rc, "cannot read the name of /dev/dm-%u", minor);
		if (describe(minor, name, ret_info, e) < 0)
			return -1;
		*ret_found = ret_info->size_bytes > 0;
		return 0;
	}
	return 0;
}

/* "UUID:0:0": no segment in its table, and nobody has it open. */
static bool is_unfinished(const char *line, const char *name)
{
	static const char nothing[] = ":0:0";
	size_t length = strlen(line), name_length = strlen(name);

	if (strncmp(line, "CRYPT-LUKS", strlen("CRYPT-LUKS")) != 0 ||
	    length < name_length + strlen(nothing) ||
	    strcmp(line + length - strlen(nothing), nothing) != 0)
		return false;
	return strncmp(line + length - strlen(nothing) - name_length, name, name_length) == 0;
}

int dm_remove_unfinished(const char *name, struct err *e)
{
	const char *const ask[] = { "dmsetup",	    "info", "-c",
				    "--noheadings", "-o",   "uuid,segments,open",
				    name,	    NULL };
	const char *const remove[] = { "dmsetup", "remove", name, NULL };
	struct proc_result result;

	if (proc_run(ask, TOOL_MS, &result, e) < 0)
		return -1;
	if (result.exit_code != 0 || !is_unfinished(result.output, name))
		return 0;
	if (proc_run(remove, TOOL_MS, &result, e) < 0)
		return -1;
	if (result.exit_code != 0)
		return err_set(e, ERR_INTERNAL, "cannot remove the unfinished mapping '%s': %.300s",
			       name, result.output);
	return 0;
}

bool dm_is_luks(const struct dm_info *info, const char *luks_uuid)
{
	static const char *const prefixes[] = { "CRYPT-LUKS2-", "CRYPT-LUKS1-" };
	char digits[33];
	size_t count = 0;

	for (const char *c = luks_uuid; *c && count < sizeof(digits) - 1; c++)
		if (*c != '-')
			digits[count++] = *c;
	digits[count] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t length = strlen(prefixes[i]);

		if (count == 32 && strncmp(info->uuid, prefixes[i], length) == 0 &&
		    strncmp(info->uuid + length, digits, count) == 0 &&
		    info->uuid[length + count] == '-')
			return true;
	}
	return false;
}
