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
 * else is FAILED_PRECONDITION: a wrong key must never show an empty volume.
 */
int s3_key_check(const struct node *node, const struct volume_record *record,
		 const struct s3_secrets *secrets, struct err *e) MUST_CHECK;

/*
 * Removes everything below the prefix, old versions and unfinished uploads included, and looks
 * that it is gone. Repeatable: what a broken call left is removed by the next. Needs no
 * passphrase. FAILED_PRECONDITION for a prefix that is no folder of its own.
 */
int s3_purge(const struct node *node, const struct volume_record *record,
	     const struct s3_secrets *secrets, struct err *e) MUST_CHECK;

#endif
