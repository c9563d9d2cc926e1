/* Mount flags. */
#include "sys/mount_flags.h"

#include <linux/mount.h>
#include <string.h>

#include "base/macros.h"
#include "base/parse.h"
#include "sys/mount.h"
#include "sys/mountinfo.h"

static const struct {
	const char *word;
	struct mount_flag flag;
} words[] = {
	{ "defaults", { MOUNT_FLAG_NONE, 0, 0 } },
	{ "rw", { MOUNT_FLAG_NONE, 0, 0 } },
	{ "_netdev", { MOUNT_FLAG_NONE, 0, 0 } },
	{ "nofail", { MOUNT_FLAG_NONE, 0, 0 } },
	{ "auto", { MOUNT_FLAG_NONE, 0, 0 } },
	{ "noauto", { MOUNT_FLAG_NONE, 0, 0 } },
	{ "suid", { MOUNT_FLAG_NONE, 0, 0 } },
	{ "dev", { MOUNT_FLAG_NONE, 0, 0 } },
	{ "exec", { MOUNT_FLAG_NONE, 0, 0 } },
	{ "ro", { MOUNT_FLAG_ATTRIBUTE, MOUNT_ATTR_RDONLY, 0 } },
	{ "nosuid", { MOUNT_FLAG_ATTRIBUTE, MOUNT_ATTR_NOSUID, 0 } },
	{ "nodev", { MOUNT_FLAG_ATTRIBUTE, MOUNT_ATTR_NODEV, 0 } },
	{ "noexec", { MOUNT_FLAG_ATTRIBUTE, MOUNT_ATTR_NOEXEC, 0 } },
	{ "nodiratime", { MOUNT_FLAG_ATTRIBUTE, MOUNT_ATTR_NODIRATIME, 0 } },
	{ "nosymfollow", { MOUNT_FLAG_ATTRIBUTE, MOUNT_ATTR_NOSYMFOLLOW, 0 } },
	{ "noatime", { MOUNT_FLAG_ATTRIBUTE, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME } },
	{ "strictatime", { MOUNT_FLAG_ATTRIBUTE, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME } },
	{ "relatime", { MOUNT_FLAG_ATTRIBUTE, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME } },
	{ "bind", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
	{ "rbind", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
	{ "move", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
	{ "remount", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
	{ "loop", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
	{ "shared", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
	{ "rshared", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
	{ "slave", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
	{ "rslave", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
	{ "private", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
	{ "rprivate", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
	{ "unbindable", { MOUNT_FLAG_FORBIDDEN, 0, 0 } },
};

/* With a value: an image or another device below, or the device itself. */
static const char *const forbidden_keys[] = { "loop",	    "offset",	    "sizelimit",
					      "encryption", "source",	    "logdev",
					      "rtdev",	    "journal_path", "journal_dev" };

struct mount_flag mount_flag_sort(const char *flag)
{
	size_t length = strcspn(flag, "=");

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].word, flag) == 0)
			return words[i].flag;
	for (size_t i = 0; i < ARRAY_LEN(forbidden_keys); i++)
		if (strlen(forbidden_keys[i]) == length &&
		    strncmp(forbidden_keys[i], flag, length) == 0)
			return (struct mount_flag){ MOUNT_FLAG_FORBIDDEN, 0, 0 };
	return (struct mount_flag){ MOUNT_FLAG_FILESYSTEM, 0, 0 };
}

static bool has_flag(const char *const flags[], size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(flags[i], word) == 0)
			return true;
	return false;
}

bool mount_flags_match(const char *const flags[], size_t count, const char *inherited,
		       const char *options)
{
	static const char *const shown[] = { "nosuid", "nodev", "noexec", "nodiratime",
					     "nosymfollow" };

	if (!*inherited && has_flag(flags, count, "ro") != mount_has_option(options, "ro"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(shown); i++)
		if ((has_flag(flags, count, shown[i]) || mount_has_option(inherited, shown[i])) !=
		    mount_has_option(options, shown[i]))
			return false;
	return true;
}

int mount_flags_check(const char *const flags[], size_t count, struct err *e)
{
	enum { FLAGS_MAX = 64, LENGTH_MAX = 255 };

	if (count > FLAGS_MAX)
		return err_set(e, ERR_INVALID_ARGUMENT, "more than %d mount flags are given",
			       FLAGS_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!*flags[i] || flags[i][0] == '=')
			return err_set(e, ERR_INVALID_ARGUMENT, "a mount flag is empty");
		if (strlen(flags[i]) > LENGTH_MAX || !text_is_clean(flags[i]) ||
		    strpbrk(flags[i], ", \t"))
			return err_set(e, ERR_INVALID_ARGUMENT,
				       "mount flag %zu is too long, or holds a comma, a space or a "
				       "control "
				       "character",
				       i + 1);
		if (mount_flag_sort(flags[i]).kind == MOUNT_FLAG_FORBIDDEN)
			return err_set(e, ERR_INVALID_ARGUMENT,
				       "mount flag '%s' is not allowed: it would undo the driver's "
				       "own mount",
				       flags[i]);
	}
	return 0;
}
