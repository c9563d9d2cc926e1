/* The way into a volume's bucket. */
#include "engine/s3_bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "s3/rclone_config.h"
#include "volume/s3_layout.h"

enum { FILE_LIMIT = 16 << 10, NAMES_LIMIT = 256 << 10 };

/* A purge of a bucket's root, or of a neighbour's folder, must not be thinkable. */
static int check_place(const struct volume_record *record, const char *prefix, struct err *e)
{
	const char *bucket = record->params.value[PARAM_S3_BUCKET];

	if (params_backend(&record->params) != BACKEND_S3 || !bucket)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the record of volume '%s' names no bucket", record->id);
	if (!s3_prefix_is_valid(prefix) || strchr(prefix, '$'))
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%.200s' is no prefix of a volume: nothing in bucket '%s' is "
			       "touched",
			       prefix, bucket);
	return 0;
}

static int check_secrets(const struct volume_record *record, const struct s3_secrets *secrets,
			 enum s3_need need, struct err *e)
{
	const struct {
		const char *key;
		const struct secret *value;
	} needed[] = {
		{ "s3-access-key-id", secrets->access_key },
		{ "s3-secret-access-key", secrets->secret_key },
		{ record->params.value[PARAM_PASSPHRASE_KEY], secrets->passphrase },
	};

	for (size_t i = 0; i < ARRAY_LEN(needed) - (need == S3_NEED_RAW); i++)
		if (!needed[i].value || secret_size(needed[i].value) == 0)
			return err_set(e, ERR_INVALID_ARGUMENT,
				       "the Secret of the request has no key '%s'%s, which volume "
				       "'%s' needs to reach its bucket",
				       needed[i].key, needed[i].value ? " that is not empty" : "",
				       record->id);
	return 0;
}

static void name_endpoint(struct s3_bucket *bucket, const char *endpoint)
{
	const char *host = endpoint ? strstr(endpoint, "://") : NULL;

	if (!host)
		return;
	snprintf(bucket->endpoint, sizeof(bucket->endpoint), "%s", host + 3);
	bucket->endpoint[strcspn(bucket->endpoint, "/")] = '\0';
}

static int make_config(const struct volume_record *record, const struct s3_secrets *secrets,
		       const char *prefix, int *ret_fd, struct err *e)
{
	const struct params *params = &record->params;
	auto_secret struct secret *password2 =
		secrets->passphrase
			? s3_password2(secrets->passphrase, s3_salt_of(params, record->id))
			: NULL;
	const struct rclone_config config = {
		.bucket = params->value[PARAM_S3_BUCKET],
		.prefix = prefix,
		.region = params->value[PARAM_S3_REGION],
		.endpoint = params->value[PARAM_S3_ENDPOINT],
		.force_path_style = params_flag(params, PARAM_S3_FORCE_PATH_STYLE),
		.access_key_id = secrets->access_key,
		.secret_access_key = secrets->secret_key,
		.password = secrets->passphrase,
		.password2 = password2,
	};

	return rclone_config_open(&config, ret_fd, e);
}

/* Everything but the configuration. */
static int fill(const struct node *node, const struct volume_record *record,
		struct s3_bucket *bucket, struct err *e)
{
	const struct params *params = &record->params;

	if (!node->rclone)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"rclone is not installed on node '%s' (see --rclone), and volumes in "
			"S3 need it",
			node->id);
	bucket->prefix = s3_prefix_of(params, record->id);
	if (check_place(record, bucket->prefix, e) < 0)
		return -1;
	bucket->id = record->id;
	bucket->raw = xasprintf("s3:%s/%s", params->value[PARAM_S3_BUCKET], bucket->prefix);
	name_endpoint(bucket, params->value[PARAM_S3_ENDPOINT]);
	bucket->tool.program = node->rclone;
	bucket->tool.bucket = params->value[PARAM_S3_BUCKET];
	return 0;
}

static void hand_over(struct s3_bucket *bucket, struct s3_bucket *ret_bucket)
{
	*ret_bucket = *bucket;
	*bucket = S3_BUCKET_NONE;
	if (*ret_bucket->endpoint)
		ret_bucket->tool.endpoint = ret_bucket->endpoint;
}

int s3_bucket_open(const struct node *node, const struct volume_record *record,
		   const struct s3_secrets *secrets, enum s3_need need,
		   struct s3_bucket *ret_bucket, struct err *e)
{
	auto_s3_bucket struct s3_bucket bucket = S3_BUCKET_NONE;

	if (fill(node, record, &bucket, e) < 0 || check_secrets(record, secrets, need, e) < 0 ||
	    make_config(record, secrets, bucket.prefix, &bucket.tool.config_fd, e) < 0)
		return -1;
	hand_over(&bucket, ret_bucket);
	return 0;
}

int s3_bucket_reopen(const struct node *node, const struct volume_record *record, int config_fd,
		     struct s3_bucket *ret_bucket, struct err *e)
{
	auto_s3_bucket struct s3_bucket bucket = { .tool = { .config_fd = config_fd } };

	if (fill(node, record, &bucket, e) < 0)
		return -1;
	hand_over(&bucket, ret_bucket);
	return 0;
}

void s3_bucket_done(struct s3_bucket *bucket)
{
	cleanup_close(&bucket->tool.config_fd);
	free(bucket->prefix);
	free(bucket->raw);
}

static bool is_missing(const struct proc_answer *answer)
{
	return answer->exit_code == RCLONE_NO_DIRECTORY || answer->exit_code == RCLONE_NO_FILE;
}

int s3_file_read(const struct s3_bucket *bucket, const char *name, char **ret_text, struct err *e)
{
	auto_free char *path = xasprintf(S3_CRYPT S3_OWN_FOLDER "/%s", name);
	const char *const words[] = { "cat", path, NULL };
	auto_proc_answer struct proc_answer answer = { 0 };

	if (rclone_ask(&bucket->tool, words, NULL, FILE_LIMIT, S3_COMMAND_MS, &answer, e) < 0)
		return -1;
	if (is_missing(&answer)) {
		*ret_text = NULL;
		return 0;
	}
	if (answer.exit_code != RCLONE_OK)
		return rclone_answer_error(&bucket->tool, &answer, e);
	if (answer.cut || strlen(answer.text) != answer.size)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s' in the bucket of volume '%s' is not the driver's", name,
			       bucket->id);
	*ret_text = TAKE(answer.text, NULL);
	return 0;
}

int s3_file_write(const struct s3_bucket *bucket, const char *name, const char *text,
		  bool exclusive, struct err *e)
{
	auto_free char *path = xasprintf(S3_CRYPT S3_OWN_FOLDER "/%s", name);
	/* The condition holds for every request of the command, so it must make one PUT only. */
	const char *const words[] = {
		"rcat",
		path,
		"--s3-directory-markers=false",
		"--s3-no-head",
		"--ignore-checksum",
		exclusive ? "--header=If-None-Match: *" : NULL,
		NULL,
	};
	auto_proc_answer struct proc_answer answer = { 0 };

	if (rclone_ask(&bucket->tool, words, text, 0, S3_COMMAND_MS, &answer, e) < 0)
		return -1;
	return answer.exit_code == RCLONE_OK ? 0 : rclone_answer_error(&bucket->tool, &answer, e);
}

int s3_file_remove(const struct s3_bucket *bucket, const char *name, struct err *e)
{
	auto_free char *path = xasprintf(S3_CRYPT S3_OWN_FOLDER "/%s", name);
	const char *const words[] = { "deletefile", path, NULL };
	auto_proc_answer struct proc_answer answer = { 0 };

	if (rclone_ask(&bucket->tool, words, NULL, 0, S3_COMMAND_MS, &answer, e) < 0)
		return -1;
	return answer.exit_code == RCLONE_OK || is_missing(&answer)
		       ? 0
		       : rclone_answer_error(&bucket->tool, &answer, e);
}

int s3_names_list(const struct s3_bucket *bucket, const char *path, char **ret_text, struct err *e)
{
	const char *const words[] = { "lsf", "--max-depth=1", path, NULL };
	auto_proc_answer struct proc_answer answer = { 0 };

	if (rclone_ask(&bucket->tool, words, NULL, NAMES_LIMIT, S3_COMMAND_MS, &answer, e) < 0)
		return -1;
	if (answer.exit_code != RCLONE_OK && !is_missing(&answer))
		return rclone_answer_error(&bucket->tool, &answer, e);
	*ret_text = TAKE(answer.text, NULL);
	return 0;
}
