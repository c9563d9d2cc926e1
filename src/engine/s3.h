/*
 * The S3 engine: a prefix of a bucket, encrypted by rclone's crypt, through an encrypted cache on
 * this node to a mount. Straight-line blocking code, run in a worker that holds the volume's lock.
 * Every step is an "ensure": a worker may die between any two instructions, and the next call goes
 * on.
 *
 * The record of the store is the truth about the volume. What is dirty on this node is known by
 * the cache alone, and "unknown" is never taken for "nothing".
 */
#ifndef ENGINE_S3_H
#define ENGINE_S3_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/local.h"

/* What a request's secrets hold for an S3 volume; borrowed. NULL where the Secret has no such key.
 */
struct s3_secrets {
	const struct secret *access_key; /* s3-access-key-id */
	const struct secret *secret_key; /* s3-secret-access-key */
	const struct secret *passphrase; /* passphraseKey */
};

/* What a look into the bucket has shown. */
struct s3_view {
	bool empty; /* nothing lies below the volume's prefix */
};

/*
 * One look into the bucket with the volume's keys. UNAVAILABLE when S3 does not answer (DNS,
 * network, server), FAILED_PRECONDITION for what a person must mend (TLS, keys, rights, bucket,
 * region, clock): each with its own sentence.
 */
int s3_probe(const struct node *node, const struct volume_record *record,
	     const struct s3_secrets *secrets, struct s3_view *ret_view, struct err *e) MUST_CHECK;

/*
 * That the passphrase opens what lies in the prefix, before anything is mounted: the key check
 * (.lukscryptwalker/volume) is read back through crypt. It is written where the prefix is empty and
 * the volume was never staged (RESERVED), or where data without a key check decrypts. Anything
 * else is FAILED_PRECONDITION: a wrong key must never show an empty volume. Where it is not known
 * whether the volume was staged (`unknown` says why; else NULL), an empty prefix is UNAVAILABLE.
 */
int s3_key_check(const struct node *node, const struct volume_record *record, const char *unknown,
		 const struct s3_secrets *secrets, struct err *e) MUST_CHECK;

/*
 * Removes everything below the prefix, old versions and unfinished uploads included, and looks
 * that it is gone. Repeatable: what a broken call left is removed by the next. Needs no
 * passphrase. FAILED_PRECONDITION for a prefix that is no folder of its own.
 */
int s3_purge(const struct node *node, const struct volume_record *record,
	     const struct s3_secrets *secrets, struct err *e) MUST_CHECK;

struct s3_stage_request {
	const struct volume_record *record;
	const char *unknown; /* why a record that says RESERVED may be out of date; or NULL */
	const char *staging_path;
	struct capability capability;
	struct s3_secrets secrets;
};

/*
 * Makes the volume appear at the staging path: key check, holder, cache, mount. A mount that lost
 * its rclone is replaced on the same cache, and whatever was published from it is bound anew.
 * *ret_record is the record afterwards; a call that fails leaves it empty, unless the prefix has a
 * key check by then, which the record must tell for DeleteVolume. FAILED_PRECONDITION while another
 * node holds the volume; what this call opened is closed again when it fails.
 */
int s3_stage(const struct node *node, const struct s3_stage_request *request,
	     struct volume_record *ret_record, struct err *e) MUST_CHECK;

/* As local_publish(). */
int s3_publish(const struct node *node, const struct publish_request *request,
	       struct err *e) MUST_CHECK;
int s3_unpublish(const struct node *node, const char *id, const char *target_path,
		 struct err *e) MUST_CHECK;

/*
 * Drains and unmounts: success says that every byte is in S3, that the cache is destroyed and the
 * volume free for another node; *ret_record is the record then. ABORTED with the number of files
 * and bytes that are left while it is not so (a file is open, S3 does not take them, or nobody can
 * tell); it waits until deadline_ms of clock_ms().
 */
int s3_unstage(const struct node *node, const struct volume_record *record,
	       const char *staging_path, int64_t deadline_ms, struct volume_record *ret_record,
	       struct err *e) MUST_CHECK;

/* As local_condition() and local_usage(). */
void s3_condition(const struct node *node, const struct volume_record *record,
		  struct condition *ret_condition);
int s3_usage(const struct node *node, const struct volume_record *record, const char *volume_path,
	     struct fs_usage *ret_usage, struct err *e) MUST_CHECK;

/* What an alive rclone of this node has not uploaded yet. */
struct s3_queue {
	uint64_t files, bytes; /* all that are not in S3: open, waiting, and those of `uploading` */
	uint64_t uploading;    /* files that are being uploaded now */
	uint64_t cache_bytes;  /* of its cache, when rclone last looked: up to a minute ago */
	char error[256];       /* what rclone last complained of, while an upload has failed */
};

/* Whether uploads of this volume can wait on this node: in S3, staged here, with a cache. */
bool s3_has_queue(const struct node *node, const struct volume_record *record);

/*
 * FAILED_PRECONDITION when the volume is not mounted here, UNAVAILABLE when rclone does not tell.
 */
int s3_queue_look(const struct node *node, const struct volume_record *record,
		  struct s3_queue *ret_queue, struct err *e) MUST_CHECK;

/*
 * Gives up what node `holder` did not upload: another node's hold on the volume is broken by the
 * next stage here, and where the holder is this node, its cache is destroyed. FAILED_PRECONDITION
 * while the volume is mounted here.
 */
int s3_release(const struct node *node, const struct volume_record *record, const char *holder,
	       struct err *e) MUST_CHECK;

#endif
