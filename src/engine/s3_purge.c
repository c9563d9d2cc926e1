/* DeleteVolume's work in the bucket. */
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/s3_bucket.h"

/* Below the limit of a worker's life: what is left is the next call's. */
enum { PURGE_MS = 8 * 60 * 1000, UPLOADS_LIMIT = 1 << 20 };

/*
 * Every object below the prefix, old versions too. It works on the ciphertext, so that a volume can
 * be deleted by somebody who cannot read it.
 */
static int remove_objects(const struct s3_bucket *bucket, struct err *e)
{
	const char *const words[] = { "purge", "--checkers=32", "--transfers=32", bucket->raw,
				      NULL };
	auto_proc_answer struct proc_answer answer = { 0 };

	if (rclone_ask(&bucket->tool, words, NULL, 0, PURGE_MS, &answer, e) < 0)
		return -1;
	if (answer.exit_code == RCLONE_OK || answer.exit_code == RCLONE_NO_DIRECTORY)
		return 0;
	return rclone_answer_error(&bucket->tool, &answer, e);
}

static bool is_below(const json_t *upload, const char *prefix)
{
	const char *key = json_string_value(json_object_get(upload, "Key"));
	size_t length = strlen(prefix);

	return key && strncmp(key, prefix, length) == 0 && key[length] == '/';
}

/* rclone's answer: {"bucket": [{"Key": ...}]}. What cannot be read may be anybody's. */
static bool are_all_ours(const struct s3_bucket *bucket, const struct proc_answer *answer)
{
	struct err ignored;
	auto_json json_t *root = json_parse_object(answer->text, "uploads", &ignored);
	const json_t *uploads = json_object_get(root, bucket->tool.bucket), *upload;
	size_t i;

	if (answer->cut || !json_is_array(uploads))
		return false;
	json_array_foreach(uploads, i, upload)
	{
		if (!is_below(upload, bucket->prefix))
			return false;
	}
	return true;
}

static int ask_backend(const struct s3_bucket *bucket, const char *command, const char *option,
		       struct proc_answer *answer, struct err *e)
{
	const char *const words[] = { "backend", command, bucket->raw, option ? "-o" : NULL,
				      option,	 NULL };

	if (rclone_ask(&bucket->tool, words, NULL, UPLOADS_LIMIT, S3_COMMAND_MS, answer, e) < 0)
		return -1;
	return answer->exit_code == RCLONE_OK ? 0 : rclone_answer_error(&bucket->tool, answer, e);
}

/*
 * Parts of uploads that were broken off cost money and are seen by no listing. rclone takes the
 * prefix "a" for that of "ab/file" too, and to remove an upload that runs would hurt another
 * volume: where there are such neighbours, only uploads that certainly do not run are removed.
 */
static void remove_uploads(const struct s3_bucket *bucket)
{
	auto_proc_answer struct proc_answer list = { 0 }, answer = { 0 };
	struct err e = { 0 };

	if (ask_backend(bucket, "list-multipart-uploads", NULL, &list, &e) == 0)
		ask_backend(bucket, "cleanup",
			    are_all_ours(bucket, &list) ? "max-age=0s" : "max-age=24h", &answer,
			    &e);
	/* Not every S3 server has the call, and the volume's data is gone either way. */
	if (e.code != ERR_OK)
		log_warn("unfinished uploads could not be removed", KV("volume", bucket->id),
			 KV("error", e.msg));
}

int s3_purge(const struct node *node, const struct volume_record *record,
	     const struct s3_secrets *secrets, struct err *e)
{
	auto_s3_bucket struct s3_bucket bucket = S3_BUCKET_NONE;
	auto_free char *left = NULL;
	struct s3_view view;

	if (s3_bucket_open(node, record, secrets, S3_NEED_RAW, &bucket, e) < 0 ||
	    s3_bucket_probe(&bucket, &view, e) < 0)
		return -1;
	remove_uploads(&bucket);
	if (view.empty)
		return 0;
	if (remove_objects(&bucket, e) < 0 || s3_names_list(&bucket, bucket.raw, &left, e) < 0)
		return -1;
	if (*left)
		return err_set(e, ERR_ABORTED,
			       "objects are left under '%s' in bucket '%s': somebody writes there, "
			       "or the server is slow; the deletion goes on with the next call",
			       bucket.prefix, bucket.tool.bucket);
	log_info("prefix purged", KV("volume", bucket.id), KV("bucket", bucket.tool.bucket),
		 KV("prefix", bucket.prefix));
	return 0;
}
