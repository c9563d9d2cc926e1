/* The table of StorageClass parameters. A new parameter is a line here and its use. */
#include <string.h>

#include "base/parse.h"
#include "volume/params.h"
#include "volume/s3_layout.h"

enum { LOCAL = 1u << BACKEND_LOCAL, S3 = 1u << BACKEND_S3, BOTH = LOCAL | S3 };

static bool is_backend(const char *v)
{
	return strcmp(v, "local") == 0 || strcmp(v, "s3") == 0;
}

/* Places that belong to the system: a backing file there would be lost or do harm. */
static bool is_local_path(const char *v)
{
	static const char *const forbidden[] = { "/proc", "/sys", "/dev",  "/run",
						 "/etc",  "/usr", "/boot", "/var/lib/kubelet" };

	if (!path_is_clean(v) || strspn(v, "/") == strlen(v))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
		if (path_is_within(v, forbidden[i]))
			return false;
	return true;
}

static bool is_fs_type(const char *v)
{
	enum fs_type ignored;

	return fs_type_parse(v, &ignored);
}

/* A key of a Kubernetes Secret. */
static bool is_secret_key(const char *v)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	return strlen(v) <= 253 && strspn(v, allowed) == strlen(v) && strcmp(v, ".") != 0 &&
	       strncmp(v, "..", 2) != 0;
}

static bool is_gid(const char *v)
{
	uint64_t gid;

	return parse_uint(v, UINT32_MAX - 1, &gid);
}

static bool is_mode(const char *v)
{
	unsigned mode;

	return parse_mode(v, &mode);
}

static bool is_flag(const char *v)
{
	bool flag;

	return parse_bool(v, &flag);
}

static bool is_allocation(const char *v)
{
	return strcmp(v, "thick") == 0 || strcmp(v, "thin") == 0;
}

/* CIPHER-MODE-IV as dm-crypt names them; which ones exist is the node's kernel's business. */
static bool is_cipher(const char *v)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789,:-";
	const char *mode = strchr(v, '-');

	return strlen(v) < 32 && strspn(v, allowed) == strlen(v) && mode && mode != v &&
	       strchr(mode + 1, '-') && !strstr(v, "null");
}

static bool is_key_size(const char *v)
{
	return strcmp(v, "256") == 0 || strcmp(v, "512") == 0;
}

static bool is_sector_size(const char *v)
{
	return strcmp(v, "512") == 0 || strcmp(v, "4096") == 0;
}

static bool is_pbkdf(const char *v)
{
	return strcmp(v, "argon2id") == 0 || strcmp(v, "argon2i") == 0 || strcmp(v, "pbkdf2") == 0;
}

/* LUKS2 allows 32 KiB to 4 GiB; a node that gives 1 GiB to one passphrase is a node that dies. */
static bool is_pbkdf_memory(const char *v)
{
	uint64_t bytes;

	return parse_size(v, &bytes) && bytes >= 32 << 10 && bytes <= 1u << 30 && bytes % 1024 == 0;
}

static bool is_iterations(const char *v)
{
	uint64_t count;

	return parse_uint(v, UINT32_MAX, &count) && count >= 1;
}

static bool is_parallel(const char *v)
{
	uint64_t count;

	return parse_uint(v, 4, &count) && count >= 1;
}

/* rclone counts nanoseconds in 64 bits: what it cannot hold it refuses, but only at the stage. */
static bool is_duration_of(const char *v, int64_t least_ms)
{
	static const int64_t hundred_years = 36500ll * 24 * 3600 * 1000;
	int64_t ms;

	return parse_duration(v, &ms) && ms >= least_ms && ms <= hundred_years;
}

static bool is_duration(const char *v)
{
	return is_duration_of(v, 0);
}

/* Below it Go does nothing but collect garbage. */
static bool is_memory_limit(const char *v)
{
	uint64_t bytes;

	return parse_size(v, &bytes) && bytes >= 64 << 20 && bytes <= 64ull << 30;
}

static bool is_cache_mode(const char *v)
{
	return strcmp(v, "off") == 0 || strcmp(v, "minimal") == 0 || strcmp(v, "writes") == 0 ||
	       strcmp(v, "full") == 0;
}

static bool is_streams(const char *v)
{
	uint64_t count;

	return parse_uint(v, 64, &count);
}

static bool is_bucket(const char *v)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
	size_t length = strlen(v);

	return length >= 3 && length <= 63 && strspn(v, allowed) == length && !strstr(v, "..") &&
	       v[0] != '-' && v[0] != '.';
}

/*
 * Credentials in an URL end up in logs; they belong into a Secret. A path would be taken for part
 * of the bucket's name by some servers.
 */
static bool is_endpoint(const char *v)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
	bool tls = strncmp(v, "https://", 8) == 0;
	const char *host = v + (tls ? 8 : 7);

	if (!tls && strncmp(v, "http://", 7) != 0)
		return false;
	size_t length = strspn(host, allowed);
	bool ends = !host[length] || strcmp(host + length, "/") == 0;
	return ends && length > 0 && length <= 255 && host[0] != ':' && host[0] != '-';
}

/* Uploads that wait for nobody lose their errors: with 0 a failed one leaves rclone's queue. */
static bool is_write_back(const char *v)
{
	return is_duration_of(v, 1000);
}

static bool is_poll_interval(const char *v)
{
	return is_duration_of(v, 1000);
}

/* The cache is a file system of its own; a smaller one would be all overhead. */
static bool is_cache_size(const char *v)
{
	uint64_t bytes;

	return parse_size(v, &bytes) && bytes >= 64ull << 20 && bytes <= 1ull << 50;
}

/* It goes into rclone's configuration, whose parser knows quotes and "%(name)s". */
static bool is_region(const char *v)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	size_t length = strlen(v);

	return length >= 1 && length <= 63 && strspn(v, allowed) == length;
}

/* Of a Kubernetes object: it goes into the path of a request. */
static bool is_name(const char *v)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
	size_t length = strlen(v);

	return length >= 1 && length <= 253 && strspn(v, allowed) == length && !strstr(v, "..") &&
	       v[0] != '.' && v[0] != '-';
}

const struct param_rule param_rules[PARAM_COUNT] = {
	[PARAM_STORAGE_BACKEND] = { "storage-backend", "local", BOTH, is_backend,
				    "'local' or 's3'" },
	[PARAM_LOCAL_PATH] = { "local-path", "/opt/local-path-provisioner", LOCAL, is_local_path,
			       "an absolute path without '..' that is not /, /proc, /sys, /dev, "
			       "/run, "
			       "/etc, /usr, /boot or kubelet's" },
	[PARAM_FS_TYPE] = { "fsType", "ext4", LOCAL, is_fs_type, "'ext4', 'ext3' or 'xfs'" },
	[PARAM_PASSPHRASE_KEY] = { "passphraseKey", "passphrase", BOTH, is_secret_key,
				   "a key of the Secret: letters, digits, '-', '_' and '.'" },
	[PARAM_FS_GROUP] = { "fsGroup", NULL, BOTH, is_gid, "a numeric group id" },
	[PARAM_FS_MODE] = { "fs-mode", NULL, BOTH, is_mode, "an octal mode such as 0775" },
	[PARAM_ALLOCATION] = { "allocation", "thick", BOTH, is_allocation, "'thick' or 'thin'" },
	[PARAM_LUKS_CIPHER] = { "luks-cipher", "aes-xts-plain64", BOTH, is_cipher,
				"a dm-crypt cipher such as aes-xts-plain64" },
	[PARAM_LUKS_KEY_SIZE] = { "luks-key-size", "512", BOTH, is_key_size,
				  "'256' or '512' bits" },
	[PARAM_LUKS_SECTOR_SIZE] = { "luks-sector-size", "4096", BOTH, is_sector_size,
				     "'512' or '4096'" },
	[PARAM_LUKS_PBKDF] = { "luks-pbkdf", "argon2id", BOTH, is_pbkdf,
			       "'argon2id', 'argon2i' or 'pbkdf2'" },
	[PARAM_LUKS_PBKDF_MEMORY] = { "luks-pbkdf-memory", "64Mi", BOTH, is_pbkdf_memory,
				      "a size from 32Ki to 1Gi" },
	[PARAM_LUKS_PBKDF_ITERATIONS] = { "luks-pbkdf-iterations", "4", BOTH, is_iterations,
					  "a number: 4 to 1000 for argon2, 1000 to 100000000 for "
					  "pbkdf2" },
	[PARAM_LUKS_PBKDF_PARALLEL] = { "luks-pbkdf-parallel", "1", BOTH, is_parallel,
					"a number from 1 to 4" },
	[PARAM_LUKS_DISCARD] = { "luks-discard", "false", LOCAL, is_flag, "'true' or 'false'" },
	[PARAM_S3_BUCKET] = { "s3-bucket", NULL, S3, is_bucket, "a bucket name" },
	[PARAM_S3_REGION] = { "s3-region", NULL, S3, is_region,
			      "a region name: letters, digits, '-', '_' and '.'" },
	[PARAM_S3_ENDPOINT] = { "s3-endpoint", NULL, S3, is_endpoint,
				"an http or https URL of host and port only, without "
				"credentials in it" },
	[PARAM_S3_FORCE_PATH_STYLE] = { "s3-force-path-style", "false", S3, is_flag,
					"'true' or 'false'" },
	[PARAM_S3_PATH_PREFIX] = { "s3-path-prefix", NULL, S3, s3_prefix_is_valid,
				   S3_PREFIX_EXPECTED },
	[PARAM_S3_SHARED_PREFIX] = { "s3-shared-prefix", "false", S3, is_flag,
				     "'true' or 'false'" },
	[PARAM_S3_ACCESS_KEY_SECRET_NAME] = { "s3-access-key-id-secret-name", NULL, S3, is_name,
					      "the name of a Secret" },
	[PARAM_S3_ACCESS_KEY_SECRET_NAMESPACE] = { "s3-access-key-id-secret-namespace", NULL, S3,
						   is_name, "the namespace of a Secret" },
	[PARAM_S3_SECRET_NAME] = { "s3-secret-name", NULL, S3, is_name, "the name of a Secret" },
	[PARAM_S3_SECRET_NAMESPACE] = { "s3-secret-namespace", NULL, S3, is_name,
					"the namespace of a Secret" },
	[PARAM_VFS_CACHE_MODE] = { "rclone-vfs-cache-mode", "full", S3, is_cache_mode,
				   "'off', 'minimal', 'writes' or 'full'" },
	[PARAM_VFS_CACHE_MAX_AGE] = { "rclone-vfs-cache-max-age", "1h", S3, is_duration,
				      "a duration such as 1h" },
	[PARAM_VFS_CACHE_MAX_SIZE] = { "rclone-vfs-cache-max-size", "10G", S3, is_cache_size,
				       "a size such as 10G, at least 64M" },
	[PARAM_VFS_CACHE_POLL_INTERVAL] = { "rclone-vfs-cache-poll-interval", "1m", S3,
					    is_poll_interval,
					    "a duration such as 1m, at least 1s" },
	[PARAM_VFS_WRITE_BACK] = { "rclone-vfs-write-back", "5s", S3, is_write_back,
				   "a duration such as 5s, at least 1s" },
	[PARAM_DIR_CACHE_TIME] = { "rclone-dir-cache-time", "1h", S3, is_duration,
				   "a duration such as 1h" },
	[PARAM_ATTR_TIMEOUT] = { "rclone-attr-timeout", "1s", S3, is_duration,
				 "a duration such as 1s" },
	[PARAM_VFS_READ_CHUNK_STREAMS] = { "rclone-vfs-read-chunk-streams", "0", S3, is_streams,
					   "a number from 0 to 64" },
	[PARAM_RCLONE_MEMORY_LIMIT] = { "rclone-memory-limit", "256Mi", S3, is_memory_limit,
					"a size from 64Mi to 64Gi" },
};
