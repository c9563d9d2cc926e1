/* Giving a folder to another user. */
#include "base/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static void close_walk(FTS **walk)
{
	if (*walk)
		fts_close(*walk);
}

static bool is_given(const struct stat *st, uid_t id)
{
	return st->st_uid == id && st->st_gid == id;
}

/* The walk is in the entry's folder, so the name is one component and leads nowhere else. */
static int give(const FTSENT *entry, uid_t id)
{
	if (is_given(entry->fts_statp, id) ||
	    fchownat(AT_FDCWD, entry->fts_accpath, id, id, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return errno == ENOENT ? 0 : -errno;
}

int owner_give(const char *folder, uid_t id, struct err *e)
{
	char *const roots[] = { (char *)folder, NULL };
	/* fts_read() changes into each folder, and checks that it is the one that it saw. */
	CLEANUP(close_walk) FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_XDEV, NULL);
	int rc = walk ? 0 : -errno;

	for (FTSENT *entry; rc == 0 && (errno = 0, entry = fts_read(walk));) {
		switch (entry->fts_info) {
		case FTS_D:
			break; /* it comes again as FTS_DP, after what is in it */
		case FTS_DNR:
		case FTS_NS:
		case FTS_ERR:
			rc = entry->fts_errno == ENOENT && entry->fts_level > 0 ? 0
										: -entry->fts_errno;
			break;
		default:
			rc = give(entry, id);
		}
	}
	if (rc == 0 && walk && errno != 0)
		rc = -errno;
	return rc < 0 ? err_sys(e, -rc, "cannot give '%s' to user %u", folder, (unsigned)id) : 0;
}
