/*
 * StorageClass parameters: one table of keys, defaults and checks (params_table.c). A parsed set
 * holds every value as checked text, so that it can be frozen into the record at CreateVolume,
 * compared, and handed out as the volume context without a second form. Pure.
 */
#ifndef VOLUME_PARAMS_H
#define VOLUME_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sys/fs_type.h"
#include "sys/luks.h"

enum param {
	PARAM_STORAGE_BACKEND,
	PARAM_LOCAL_PATH,
	PARAM_FS_TYPE,
	PARAM_PASSPHRASE_KEY,
	PARAM_FS_GROUP,
	PARAM_FS_MODE,
	PARAM_ALLOCATION,
	PARAM_LUKS_CIPHER,
	PARAM_LUKS_KEY_SIZE,
	PARAM_LUKS_SECTOR_SIZE,
	PARAM_LUKS_PBKDF,
	PARAM_LUKS_PBKDF_MEMORY,
	PARAM_LUKS_PBKDF_ITERATIONS,
	PARAM_LUKS_PBKDF_PARALLEL,
	PARAM_LUKS_DISCARD,
	PARAM_S3_BUCKET,
	PARAM_S3_REGION,
	PARAM_S3_ENDPOINT,
	PARAM_S3_FORCE_PATH_STYLE,
	PARAM_S3_PATH_PREFIX,
	PARAM_S3_SHARED_PREFIX,
	PARAM_S3_ACCESS_KEY_SECRET_NAME,
	PARAM_S3_ACCESS_KEY_SECRET_NAMESPACE,
	PARAM_S3_SECRET_NAME,
	PARAM_S3_SECRET_NAMESPACE,
	PARAM_VFS_CACHE_MODE,
	PARAM_VFS_CACHE_MAX_AGE,
	PARAM_VFS_CACHE_MAX_SIZE,
	PARAM_VFS_CACHE_POLL_INTERVAL,
	PARAM_VFS_WRITE_BACK,
	PARAM_DIR_CACHE_TIME,
	PARAM_ATTR_TIMEOUT,
	PARAM_VFS_READ_CHUNK_STREAMS,
	PARAM_RCLONE_MEMORY_LIMIT,
	PARAM_COUNT
};

enum backend { BACKEND_LOCAL, BACKEND_S3 };

/* One row of the table. `check` sees a non-empty clean text and says what is wrong with it. */
struct param_rule {
	const char *key;
	const char *initial; /* the default; NULL: unset */
	unsigned backends;   /* 1u << enum backend */
	bool (*check)(const char *value);
	const char *expected; /* "'true' or 'false'", for the error sentence and the documents */
};
extern const struct param_rule param_rules[PARAM_COUNT];

/* Values are owned. An all-zero set is empty and may be released. */
struct params {
	char *value[PARAM_COUNT];
};

struct text_pair {
	const char *key, *value;
};

/*
 * Checks and takes over key-value pairs (of a StorageClass or a volume context) and fills the
 * defaults of the chosen backend. "fsType" may also be written "csi.storage.k8s.io/fstype";
 * other keys below csi.storage.k8s.io/ and topology.lukscryptwalker.csi.k8s.io/ are accepted and
 * not kept. INVALID_ARGUMENT names an unknown key and the nearest known one, a key of the other
 * backend, a key given twice with different values, or the value that is wrong.
 */
int params_parse(const struct text_pair pairs[], size_t count, struct params *ret_params,
		 struct err *e) MUST_CHECK;
void params_done(struct params *params);
#define auto_params __attribute__((cleanup(params_done)))

void params_copy(const struct params *from, struct params *ret_params);

/* Whether both have this parameter with the same text, or neither has it. */
bool params_same(const struct params *a, const struct params *b, enum param which);

/* The first key whose value differs, or NULL when the sets are equal. */
const char *params_difference(const struct params *a, const struct params *b);

/* Replaces one value; text is copied. */
void params_set(struct params *params, enum param which, const char *text);

/* Typed views of checked values. */
enum backend params_backend(const struct params *params);
enum fs_type params_fs_type(const struct params *params);
bool params_thin(const struct params *params);
bool params_flag(const struct params *params, enum param which);
void params_luks(const struct params *params, struct luks_params *ret_luks);
bool params_fs_group(const struct params *params, uint32_t *ret_gid);
bool params_fs_mode(const struct params *params, unsigned *ret_mode);

#endif
