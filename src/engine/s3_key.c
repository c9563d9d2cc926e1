/* The key check: a wrong passphrase must never show an empty volume. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/s3_bucket.h"

#define KEY_CHECK "volume" /* in S3_OWN_FOLDER */

enum { DEPTH_MAX = 16 };

static int wrong_passphrase(const struct s3_bucket *bucket, struct err *e)
{
	return err_set(e, ERR_FAILED_PRECONDITION,
		       "the passphrase does not open the data under '%s' in bucket '%s' (was the "
		       "Secret changed?): volume '%s' is not mounted, because it would seem to be "
		       "empty",
		       bucket->prefix, bucket->tool.bucket, bucket->id);
}

/* The content is only there for people: that it could be read at all is the proof. */
static int write_key_check(const struct s3_bucket *bucket, struct err *e)
{
	auto_json json_t *root = json_object();

	json_object_set_new(root, "driver", json_string("lukscryptwalker"));
	json_object_set_new(root, "version", json_integer(1));
	json_object_set_new(root, "volumeId", json_string(bucket->id));
	auto_free char *text = json_text(root);

	if (s3_file_write(bucket, KEY_CHECK, text, true, e) < 0 && e->code != ERR_ALREADY_EXISTS)
		return err_wrap(e, "cannot write the key check of volume '%s'", bucket->id);
	log_info("key check written", KV("volume", bucket->id), KV("prefix", bucket->prefix));
	return 0;
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

/* The first name that is a file (`folder` false) or a folder; "" when there is none. */
static void first_name(const char *names, bool folder, char ret_name[1024])
{
	ret_name[0] = '\0';
	while (*names) {
		size_t length = strcspn(names, "\n");

		if (length && length < 1024 && (names[length - 1] == '/') == folder) {
			memcpy(ret_name, names, length);
			ret_name[length] = '\0';
			return;
		}
		names += length + (names[length] == '\n');
	}
}

/* Whether a byte of the file can be read: crypt's data is authenticated, its names are not. */
static int read_a_byte(const struct s3_bucket *bucket, const char *path, struct err *e)
{
	const char *const words[] = { "cat", "--count=1", path, NULL };
	auto_proc_answer struct proc_answer answer = { 0 };

	if (rclone_ask(&bucket->tool, words, NULL, 16, S3_COMMAND_MS, &answer, e) < 0)
		return -1;
	if (answer.exit_code == RCLONE_OK)
		return 0;
	return strstr(answer.errors, "failed to authenticate") ||
			       strstr(answer.errors, "bad magic") ||
			       strstr(answer.errors, "file is too short")
		       ? wrong_passphrase(bucket, e)
		       : rclone_answer_error(&bucket->tool, &answer, e);
}

/*
 * Data that has no key check: of the Go driver, or of rclone. A name that decrypts by chance (one
 * in 256 does) must not be believed, so a file is looked for and read.
 */
static int check_foreign_data(const struct s3_bucket *bucket, struct err *e)
{
	auto_free char *folder = xstrdup(S3_CRYPT);
	auto_free char *raw = NULL;
	size_t top = 0;
	char name[1024];

	if (s3_names_list(bucket, bucket->raw, &raw, e) < 0)
		return -1;
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		auto_free char *names = NULL;

		if (s3_names_list(bucket, folder, &names, e) < 0)
			return -1;
		if (depth == 0)
			top = count_lines(names);
		if (top == 0)
			return wrong_passphrase(bucket, e);
		first_name(names, false, name);
		if (*name) {
			auto_free char *path = xasprintf("%s%s", folder, name);
			return read_a_byte(bucket, path, e);
		}
		first_name(names, true, name);
		if (!*name)
			break;
		char *deeper = xasprintf("%s%s", folder, name);
		free(folder);
		folder = deeper;
	}
	/* Folders only: then every name must be right. */
	return top == count_lines(raw) ? 0 : wrong_passphrase(bucket, e);
}

static int check_without_file(const struct volume_record *record, const char *unknown,
			      const struct s3_bucket *bucket, struct err *e)
{
	struct s3_view view;

	if (s3_bucket_probe(bucket, &view, e) < 0)
		return -1;
	if (view.empty && record->state != VOLUME_RESERVED)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "volume '%s' was used before, but '%s' in bucket '%s' is empty: it "
			       "is not mounted as an empty volume; look whether the bucket is the "
			       "right one and who removed its data",
			       record->id, bucket->prefix, bucket->tool.bucket);
	if (view.empty && unknown)
		return err_set(e, ERR_UNAVAILABLE,
			       "'%s' in bucket '%s' is empty, and whether volume '%s' was used "
			       "before cannot be asked: %s",
			       bucket->prefix, bucket->tool.bucket, record->id, unknown);
	if (!view.empty && check_foreign_data(bucket, e) < 0)
		return -1;
	return write_key_check(bucket, e);
}

int s3_key_check(const struct node *node, const struct volume_record *record, const char *unknown,
		 const struct s3_secrets *secrets, struct err *e)
{
	auto_s3_bucket struct s3_bucket bucket = S3_BUCKET_NONE;
	auto_free char *text = NULL;
	struct err ignored;

	if (s3_bucket_open(node, record, secrets, S3_NEED_CRYPT, &bucket, e) < 0 ||
	    s3_file_read(&bucket, KEY_CHECK, &text, e) < 0)
		return -1;
	if (!text)
		return check_without_file(record, unknown, &bucket, e);
	auto_json json_t *root = json_parse_object(text, "key check", &ignored);
	const char *driver = json_string_value(json_object_get(root, "driver"));
	if (!driver || strcmp(driver, "lukscryptwalker") != 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'" S3_OWN_FOLDER "/" KEY_CHECK "' under '%s' in bucket '%s' is not "
			       "this driver's: a file of a user is in its place",
			       bucket.prefix, bucket.tool.bucket);
	return 0;
}
