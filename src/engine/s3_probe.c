/* One look into the bucket. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/s3_bucket.h"

/*
 * An empty prefix and a missing bucket look the same to rclone (exit code 3). The bucket's root
 * tells them apart; keys that may see the prefix only are refused there, and then it is the prefix
 * that is empty, because S3 tells of a missing bucket before it looks at rights.
 */
static int check_bucket(const struct s3_bucket *bucket, struct err *e)
{
	auto_free char *root = xasprintf("s3:%s", bucket->tool.bucket);
	const char *const words[] = { "lsf", "--max-depth=1", root, NULL };
	auto_proc_answer struct proc_answer answer = { 0 };

	if (rclone_ask(&bucket->tool, words, NULL, 0, S3_COMMAND_MS, &answer, e) < 0)
		return -1;
	if (answer.exit_code == RCLONE_NO_DIRECTORY)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "bucket '%s' does not exist on '%s', or the key of the Secret is "
			       "not known there: create the bucket, or mend s3-bucket or the "
			       "Secret",
			       bucket->tool.bucket,
			       bucket->tool.endpoint ? bucket->tool.endpoint : "AWS");
	if (answer.exit_code == RCLONE_OK || strstr(answer.errors, "AccessDenied"))
		return 0;
	return rclone_answer_error(&bucket->tool, &answer, e);
}

int s3_bucket_probe(const struct s3_bucket *bucket, struct s3_view *ret_view, struct err *e)
{
	auto_free char *names = NULL;

	if (s3_names_list(bucket, bucket->raw, &names, e) < 0)
		return -1;
	ret_view->empty = !*names;
	return ret_view->empty ? check_bucket(bucket, e) : 0;
}

int s3_probe(const struct node *node, const struct volume_record *record,
	     const struct s3_secrets *secrets, struct s3_view *ret_view, struct err *e)
{
	auto_s3_bucket struct s3_bucket bucket = S3_BUCKET_NONE;

	return s3_bucket_open(node, record, secrets, S3_NEED_RAW, &bucket, e) < 0
		       ? -1
		       : s3_bucket_probe(&bucket, ret_view, e);
}
