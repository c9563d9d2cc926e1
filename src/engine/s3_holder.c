/* The node that has a volume staged for writing. */
#include "engine/s3_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/s3_cache.h"
#include "engine/s3_mount.h"

enum { CLOCKS_APART_S = 10 * 60 }; /* of two nodes */

#define HOLDER "holder"	    /* in S3_OWN_FOLDER */
#define ACCEPTED "accepted" /* in the state folder: {volumeID} holds the name of a node */

struct holder {
	char node[NODE_NAME_SIZE];	/* "": nobody */
	char volume[VOLUME_ID_MAX + 1]; /* one of those that share the prefix; "": not told */
	char since[32];
};

/* Volumes of one prefix have caches of their own, and what one of them has is not the other's. */
static bool is_mine(const struct holder *holder, const struct node *node,
		    const struct s3_bucket *bucket)
{
	return strcmp(holder->node, node->id) == 0 &&
	       (!*holder->volume || strcmp(holder->volume, bucket->id) == 0);
}

static int read_holder(const struct s3_bucket *bucket, struct holder *ret_holder, struct err *e)
{
	auto_free char *text = NULL;

	memset(ret_holder, 0, sizeof(*ret_holder));
	if (s3_file_read(bucket, HOLDER, &text, e) < 0)
		return -1;
	if (!text)
		return 0;
	auto_json json_t *root = json_parse_object(text, "'" S3_OWN_FOLDER "/" HOLDER "'", e);
	const char *node = json_string_value(json_object_get(root, "node"));
	const char *since = json_string_value(json_object_get(root, "since"));
	if (!node || !*node || strlen(node) >= sizeof(ret_holder->node))
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'" S3_OWN_FOLDER "/" HOLDER "' of volume '%s' is damaged, so it is "
			       "not known which node has the volume: remove that file with rclone "
			       "when none has (see `lcw volume external-access %s`)",
			       bucket->id, bucket->id);
	snprintf(ret_holder->node, sizeof(ret_holder->node), "%s", node);
	const char *volume = json_string_value(json_object_get(root, "volume"));
	snprintf(ret_holder->volume, sizeof(ret_holder->volume), "%s", volume ? volume : "");
	snprintf(ret_holder->since, sizeof(ret_holder->since), "%s", since ? since : "?");
	return 0;
}

static int write_holder(const struct node *node, const struct s3_bucket *bucket, struct err *e)
{
	auto_json json_t *root = json_object();
	char since[32];
	time_t now = time(NULL);
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &utc);
	json_object_set_new(root, "node", json_string(node->id));
	json_object_set_new(root, "volume", json_string(bucket->id));
	json_object_set_new(root, "since", json_string(since));
	auto_free char *text = json_text(root);
	return s3_file_write(bucket, HOLDER, text, true, e);
}

static int open_accepted(const struct node *node, int *ret_fd, struct err *e)
{
	auto_free char *path = xasprintf("%s/" ACCEPTED, node->state_dir);
	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc = root < 0 ? -errno : fd_mkdirs_beneath(root, path + 1, 0700);

	*ret_fd = rc < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_sys(e, rc < 0 ? -rc : errno, "cannot open the folder '%s'", path)
			   : 0;
}

int s3_holder_accept_loss(const struct node *node, const char *id, const char *holder,
			  struct err *e)
{
	auto_close int dir = -1;

	if (open_accepted(node, &dir, e) < 0)
		return -1;
	int rc = fd_write_file_atomic(dir, id, holder);
	return rc < 0 ? err_sys(e, -rc, "cannot note the loss for volume '%s'", id) : 0;
}

/* Whether this node may still have something of the volume that is the holder. */
static int is_in_use_here(const struct node *node, const struct holder *holder, bool *ret_yes,
			  struct err *e)
{
	auto_mount_table struct mount_table mounts = { 0 };

	*ret_yes = true;
	if (volume_id_check(holder->volume, e) < 0 || mount_table_read(&mounts, e) < 0)
		return -1;
	for (size_t i = 0; i < mounts.count; i++)
		if (s3_mount_is_of(&mounts.entries[i], node, holder->volume))
			return 0;
	return s3_cache_may_hold(node, holder->volume, ret_yes, e);
}

/*
 * Whether the note of an accepted loss is of what the holder has now: not when the volume was
 * staged there after the note was written, and not when this node itself still has it.
 */
static int is_accepted(const struct node *node, const struct s3_bucket *bucket,
		       const struct holder *holder, int dir, bool *ret_yes, struct err *e)
{
	auto_free char *accepted = NULL;
	bool in_use = false;
	struct stat st;
	time_t since;

	*ret_yes = false;
	int rc = fd_read_file(dir, bucket->id, NODE_NAME_SIZE, &accepted);
	if (rc == 0 && fstatat(dir, bucket->id, &st, AT_SYMLINK_NOFOLLOW) < 0)
		rc = -errno;
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_sys(e, -rc, "cannot read the note of an accepted loss");
	if (strcmp(holder->node, node->id) == 0 && is_in_use_here(node, holder, &in_use, e) < 0)
		return -1;
	bool newer = clock_parse(holder->since, &since) && since > st.st_mtime + CLOCKS_APART_S;
	*ret_yes = strcmp(accepted, holder->node) == 0 && !in_use && !newer;
	return 0;
}

/*
 * Takes the volume from a node whose loss was accepted. Used or not, the note goes: it was written
 * for this stage, and must not give up what a node has at another time.
 */
static int take_from_lost(const struct node *node, const struct s3_bucket *bucket,
			  const struct holder *holder, bool *ret_taken, struct err *e)
{
	auto_close int dir = -1;

	*ret_taken = false;
	if (open_accepted(node, &dir, e) < 0 ||
	    (*holder->node && is_accepted(node, bucket, holder, dir, ret_taken, e) < 0) ||
	    (*ret_taken && s3_file_remove(bucket, HOLDER, e) < 0))
		return -1;
	if (*ret_taken)
		log_warn("volume taken from a node whose data was given up by an administrator",
			 KV("volume", bucket->id), KV("lost", holder->node),
			 KV("since", holder->since));
	if (unlinkat(dir, bucket->id, 0) < 0 && errno != ENOENT)
		return err_sys(e, errno, "cannot remove the note of an accepted loss");
	return 0;
}

static int refuse(const struct node *node, const struct s3_bucket *bucket,
		  const struct holder *holder, struct err *e)
{
	const char *volume = *holder->volume ? holder->volume : bucket->id;

	if (strcmp(holder->node, node->id) == 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "volume '%s' of the same prefix is staged on this node since %s, "
			       "and one of them at a time can be written: volume '%s' can be "
			       "staged when that one is unstaged, or for reading only",
			       volume, holder->since, bucket->id);
	return err_set(e, ERR_FAILED_PRECONDITION,
		       "volume '%s' is staged on node '%s' since %s, which may hold data "
		       "that is not in S3 yet: it can be staged here when that node has "
		       "unstaged it. If that node is lost for ever, run here: lcw volume "
		       "release %s --node=%s --accept-loss",
		       volume, holder->node, holder->since, bucket->id, holder->node);
}

int s3_holder_take(const struct node *node, const struct s3_bucket *bucket, bool *ret_new,
		   struct err *e)
{
	struct holder holder;
	bool taken;

	if (read_holder(bucket, &holder, e) < 0)
		return -1;
	bool mine = is_mine(&holder, node, bucket);
	if (mine)
		*holder.node = '\0'; /* there is nobody to take it from */
	if (take_from_lost(node, bucket, &holder, &taken, e) < 0)
		return -1;
	*ret_new = !mine;
	if (mine)
		return 0;
	if (*holder.node && !taken)
		return refuse(node, bucket, &holder, e);
	if (write_holder(node, bucket, e) < 0)
		return e->code == ERR_ALREADY_EXISTS
			       ? err_set(e, ERR_ABORTED,
					 "another node is staging volume '%s' at the same time",
					 bucket->id)
			       : -1;
	return 0;
}

int s3_holder_check(const struct node *node, const struct s3_bucket *bucket, struct err *e)
{
	struct holder holder;

	if (read_holder(bucket, &holder, e) < 0)
		return -1;
	if (is_mine(&holder, node, bucket))
		return 0;
	return err_set(
		e, ERR_FAILED_PRECONDITION,
		"node '%s' has a cache of volume '%s' from before another node took the volume "
		"over (lcw volume release --accept-loss): what was not uploaded then would "
		"overwrite newer files. To destroy that cache, run here: lcw volume release "
		"%s --node=%s --accept-loss",
		node->id, bucket->id, bucket->id, node->id);
}

int s3_holder_drop(const struct node *node, const struct s3_bucket *bucket, struct err *e)
{
	struct holder holder;

	if (read_holder(bucket, &holder, e) < 0)
		return -1;
	if (!is_mine(&holder, node, bucket))
		return 0;
	return s3_file_remove(bucket, HOLDER, e);
}
