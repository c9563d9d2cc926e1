/*
 * Where an S3 volume lies in its bucket and what its crypt passwords are, exactly as the
 * specification lays it out, so that the plain rclone CLI can read the data. Pure.
 */
#ifndef VOLUME_S3_LAYOUT_H
#define VOLUME_S3_LAYOUT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"
#include "volume/params.h"

/* Encrypted names are longer than plain ones, and a key of S3 has 1024 bytes. */
#define S3_PREFIX_MAX 512

/*
 * Whether a text can be the parameter s3-path-prefix: a relative path of clean components, which
 * may hold ${pvc.namespace}, ${pvc.name} and ${pv.name}. No "..", no empty component, no slash at
 * the end (it would be part of the password), no quotes, backslashes or other '$', '{', '}', '%'.
 */
bool s3_prefix_is_valid(const char *prefix);
#define S3_PREFIX_EXPECTED                                                                         \
	"a relative path of at most 512 bytes without '..', '//', quotes or a slash at its end, "  \
	"in which ${pvc.namespace}, ${pvc.name} and ${pv.name} may stand"

/* What the templates stand for; NULL: not known. */
struct s3_names {
	const char *pvc_namespace, *pvc_name, *pv_name;
};

/*
 * Replaces the templates in s3-path-prefix, if there is one, so that the parameters can be frozen.
 * INVALID_ARGUMENT when a template's value is not known or the result is no valid prefix.
 */
int s3_prefix_resolve(struct params *params, const struct s3_names *names,
		      struct err *e) MUST_CHECK;

/*
 * The volume's place inside the bucket: s3-path-prefix, or "volumes/{volumeID}/files". No slash at
 * either end. Owned by the caller.
 */
char *s3_prefix_of(const struct params *params, const char *id);

/* What is behind "passphrase-" in password2: s3-path-prefix, or the volume's id. Borrowed. */
const char *s3_salt_of(const struct params *params, const char *id);

/* password2: "{passphrase}-{salt}". Owned by the caller. */
struct secret *s3_password2(const struct secret *passphrase, const char *salt);

enum s3_overlap {
	S3_APART,
	S3_SAME,   /* the same bucket and prefix */
	S3_NESTED, /* one prefix lies inside the other: a purge of one takes the other's data */
};

/*
 * How the places of two volumes lie to each other. The endpoint does not count: one server has many
 * names, and buckets that only seem to be two would let a deletion take the other volume's data.
 */
enum s3_overlap s3_places_compare(const struct params *a, const char *a_id, const struct params *b,
				  const char *b_id);

#endif
