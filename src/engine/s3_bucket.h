/* The way into a volume's bucket for one call: the configuration of rclone, and its paths. */
#ifndef ENGINE_S3_BUCKET_H
#define ENGINE_S3_BUCKET_H

#include "engine/s3.h"
#include "s3/rclone_command.h"

struct s3_bucket {
	struct rclone_tool tool;
	const char *id;	    /* of the volume; borrowed */
	char *prefix;	    /* inside the bucket, no slash at either end */
	char *raw;	    /* "s3:bucket/prefix": the ciphertext */
	char endpoint[256]; /* host and port, for sentences */
};
#define S3_BUCKET_NONE ((struct s3_bucket){ .tool = { .config_fd = -1 } })

/* The remote of the plaintext: "c:" and a path inside the volume. */
#define S3_CRYPT "c:"

/* Our own folder inside every volume, hidden from pods. */
#define S3_OWN_FOLDER ".lukscryptwalker"

enum s3_need { S3_NEED_RAW, S3_NEED_CRYPT };

/*
 * INVALID_ARGUMENT names the key that the Secret lacks: S3's keys, and with S3_NEED_CRYPT the
 * passphrase. FAILED_PRECONDITION when the record has no bucket or prefix of its own.
 */
int s3_bucket_open(const struct node *node, const struct volume_record *record,
		   const struct s3_secrets *secrets, enum s3_need need,
		   struct s3_bucket *ret_bucket, struct err *e) MUST_CHECK;

/* The same with a configuration that the volume's rclone was started with; the descriptor is taken.
 */
int s3_bucket_reopen(const struct node *node, const struct volume_record *record, int config_fd,
		     struct s3_bucket *ret_bucket, struct err *e) MUST_CHECK;
void s3_bucket_done(struct s3_bucket *bucket);
#define auto_s3_bucket __attribute__((cleanup(s3_bucket_done)))

/* Time for one small command. */
enum { S3_COMMAND_MS = 25 * 1000 };

/*
 * Reads a file of our own folder through crypt. *ret_text is NULL when there is none: also where
 * the passphrase is another one, because then the name is another one too. Owned by the caller.
 */
int s3_file_read(const struct s3_bucket *bucket, const char *name, char **ret_text,
		 struct err *e) MUST_CHECK;

/*
 * Writes a file of our own folder through crypt. With `exclusive` ALREADY_EXISTS when there is one:
 * decided by the S3 server in one step (a conditional PUT), so of two writers one wins.
 */
int s3_file_write(const struct s3_bucket *bucket, const char *name, const char *text,
		  bool exclusive, struct err *e) MUST_CHECK;

/* Removes a file of our own folder; one that is not there is success. */
int s3_file_remove(const struct s3_bucket *bucket, const char *name, struct err *e) MUST_CHECK;

/*
 * The names directly below a remote path ("s3:bucket/prefix" or "c:folder"), folders with a slash
 * behind, one per line; *ret_text is "" when there are none, and only the first ones when there are
 * very many. Owned by the caller.
 */
int s3_names_list(const struct s3_bucket *bucket, const char *path, char **ret_text,
		  struct err *e) MUST_CHECK;

/* s3_probe() with a bucket that is open. */
int s3_bucket_probe(const struct s3_bucket *bucket, struct s3_view *ret_view,
		    struct err *e) MUST_CHECK;

#endif
