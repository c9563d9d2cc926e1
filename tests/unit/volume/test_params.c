/* volume/params: the table of StorageClass parameters. */
#include "volume/params.h"

#include <string.h>

#include "unit.h"

#define PARSE(params, e, ...)                                                                      \
	params_parse((const struct text_pair[]){ __VA_ARGS__ },                                    \
		     sizeof((const struct text_pair[]){ __VA_ARGS__ }) / sizeof(struct text_pair), \
		     params, e)

static void an_empty_class_gets_the_documented_defaults(void **state)
{
	struct params params = { 0 };
	struct luks_params luks;
	struct err e = { 0 };
	unsigned mode;
	uint32_t gid;

	(void)state;
	assert_int_equal(params_parse(NULL, 0, &params, &e), 0);
	assert_int_equal(params_backend(&params), BACKEND_LOCAL);
	assert_int_equal(params_fs_type(&params), FS_EXT4);
	assert_string_equal(params.value[PARAM_LOCAL_PATH], "/opt/local-path-provisioner");
	assert_string_equal(params.value[PARAM_PASSPHRASE_KEY], "passphrase");
	assert_false(params_thin(&params));
	assert_false(params_flag(&params, PARAM_LUKS_DISCARD));
	assert_false(params_fs_group(&params, &gid));
	assert_false(params_fs_mode(&params, &mode));
	assert_null(params.value[PARAM_VFS_CACHE_MODE]);
	params_luks(&params, &luks);
	assert_string_equal(luks.cipher, "aes-xts-plain64");
	assert_string_equal(luks.pbkdf, "argon2id");
	assert_int_equal(luks.key_bits, 512);
	assert_int_equal(luks.sector_size, 4096);
	assert_int_equal(luks.memory_kib, 65536);
	assert_int_equal(luks.iterations, 4);
	assert_int_equal(luks.parallel, 1);
	params_done(&params);
}

static void a_typo_is_named_with_the_nearest_key(void **state)
{
	struct params params = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(PARSE(&params, &e, { "local-paht", "/x" }), -1);
	assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(e.msg, "'local-paht'"));
	assert_non_null(strstr(e.msg, "did you mean 'local-path'?"));
	assert_int_equal(PARSE(&params, &e, { "bogus", "1" }), -1);
	assert_non_null(strstr(e.msg, "'bogus' (the nearest known one is '"));
}

static void bad_values_are_refused_by_name(void **state)
{
	static const struct text_pair bad[] = {
		{ "local-path", "relative" },	{ "local-path", "/" },
		{ "local-path", "/a/../b" },	{ "local-path", "/etc/x" },
		{ "local-path", "/run" },	{ "local-path", "/var/lib/kubelet/x" },
		{ "fsType", "ntfs" },		{ "fsGroup", "-1" },
		{ "fsGroup", "4294967295" },	{ "fs-mode", "rwx" },
		{ "allocation", "fat" },	{ "luks-key-size", "128" },
		{ "luks-sector-size", "1024" }, { "luks-pbkdf", "scrypt" },
		{ "luks-pbkdf-memory", "4Gi" }, { "luks-pbkdf-parallel", "0" },
		{ "luks-discard", "yes" },	{ "passphraseKey", "a/b" },
		{ "passphraseKey", "" },	{ "storage-backend", "nfs" },
		{ "luks-cipher", "aes" },	{ "luks-cipher", "cipher_null-ecb-plain" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct params params = { 0 };
		struct err e = { 0 };

		assert_int_equal(params_parse(&bad[i], 1, &params, &e), -1);
		assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
		assert_non_null(strstr(e.msg, bad[i].key));
	}
}

static void an_endpoint_with_a_password_is_not_shown(void **state)
{
	struct params params = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(PARSE(&params, &e, { "storage-backend", "s3" },
			       { "s3-endpoint", "https://user:hunter2@s3.example.com" }),
			 -1);
	assert_null(strstr(e.msg, "hunter2"));
	assert_non_null(strstr(e.msg, "s3-endpoint"));
}

static void keys_of_the_other_backend_are_refused(void **state)
{
	struct params params = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(PARSE(&params, &e, { "s3-bucket", "bucket" }), -1);
	assert_non_null(strstr(e.msg, "s3-bucket"));
	assert_int_equal(PARSE(&params, &e, { "storage-backend", "s3" }, { "local-path", "/data" }),
			 -1);
	assert_non_null(strstr(e.msg, "local-path"));
}

static void sidecar_keys_are_accepted(void **state)
{
	struct params params = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(PARSE(&params, &e,
			       { "csi.storage.k8s.io/node-stage-secret-name", "luks-secret" },
			       { "csi.storage.k8s.io/pvc/name", "data" },
			       { "csi.storage.k8s.io/fstype", "xfs" }),
			 0);
	assert_int_equal(params_fs_type(&params), FS_XFS);
	params_done(&params);
}

static void one_file_system_under_two_names_must_agree(void **state)
{
	struct params params = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(PARSE(&params, &e, { "fsType", "ext4" },
			       { "csi.storage.k8s.io/fstype", "xfs" }),
			 -1);
	assert_int_equal(PARSE(&params, &e, { "fsType", "xfs" },
			       { "csi.storage.k8s.io/fstype", "xfs" }),
			 0);
	params_done(&params);
}

static void a_set_survives_its_own_text(void **state)
{
	struct params first = { 0 }, second = { 0 };
	struct text_pair pairs[PARAM_COUNT];
	struct err e = { 0 };
	size_t count = 0;

	(void)state;
	assert_int_equal(PARSE(&first, &e, { "local-path", "/data/" }, { "fsGroup", "26" },
			       { "luks-pbkdf", "pbkdf2" }, { "luks-pbkdf-iterations", "1000" }),
			 0);
	assert_string_equal(first.value[PARAM_LOCAL_PATH], "/data");
	for (int i = 0; i < PARAM_COUNT; i++)
		if (first.value[i])
			pairs[count++] = (struct text_pair){ param_rules[i].key, first.value[i] };
	assert_int_equal(params_parse(pairs, count, &second, &e), 0);
	assert_null(params_difference(&first, &second));
	params_set(&second, PARAM_FS_GROUP, "27");
	assert_string_equal(params_difference(&first, &second), "fsGroup");
	params_done(&first);
	params_done(&second);
}

static void every_default_passes_its_own_check(void **state)
{
	(void)state;
	for (int i = 0; i < PARAM_COUNT; i++) {
		assert_non_null(param_rules[i].key);
		assert_non_null(param_rules[i].expected);
		if (param_rules[i].initial)
			assert_true(param_rules[i].check(param_rules[i].initial));
	}
}

/* Each line is one class of the S3 backend that must be refused; the key must be named. */
static void bad_s3_values_are_refused_by_name(void **state)
{
	static const struct text_pair bad[][1] = {
		{ { "s3-bucket", "UPPER" } },
		{ { "s3-bucket", "a/b" } },
		{ { "s3-endpoint", "s3.example.com" } },
		{ { "s3-endpoint", "https://" } },
		{ { "s3-endpoint", "ftp://s3.example.com" } },
		{ { "s3-endpoint", "https://s3.example.com/path" } },
		{ { "s3-endpoint", "https://s3.example.com?x=y" } },
		{ { "s3-path-prefix", "/a" } },
		{ { "s3-path-prefix", "a/../b" } },
		{ { "s3-path-prefix", "a/" } },
		{ { "s3-path-prefix", "" } },
		{ { "s3-force-path-style", "yes" } },
		{ { "rclone-vfs-cache-mode", "half" } },
		{ { "rclone-vfs-write-back", "0s" } },
		{ { "rclone-vfs-write-back", "999999999d" } },
		{ { "rclone-vfs-cache-max-age", "36501d" } },
		{ { "rclone-vfs-cache-max-size", "1M" } },
		{ { "rclone-vfs-cache-poll-interval", "1ms" } },
		{ { "rclone-vfs-read-chunk-streams", "-1" } },
		{ { "rclone-memory-limit", "1Mi" } },
		{ { "rclone-memory-limit", "much" } },
		{ { "s3-shared-prefix", "true" } },
		{ { "s3-region", "" } },
		{ { "s3-region", "%(secret_access_key)s" } },
		{ { "s3-region", "\"us-east-1\"" } },
		{ { "s3-secret-name", "a" } },
		{ { "s3-secret-name", "../a" } },
		{ { "s3-secret-name", "a?watch=1" } },
		{ { "s3-secret-namespace", ".." } },
		{ { "s3-access-key-id-secret-namespace", "a" } },
		{ { "local-path", "/srv/x" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct params params = { 0 };
		struct err e = { 0 };

		assert_int_equal(PARSE(&params, &e, { "storage-backend", "s3" }, bad[i][0]), -1);
		assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
		assert_non_null(strstr(e.msg, bad[i][0].key));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_class_gets_the_documented_defaults),
		cmocka_unit_test(a_typo_is_named_with_the_nearest_key),
		cmocka_unit_test(bad_values_are_refused_by_name),
		cmocka_unit_test(bad_s3_values_are_refused_by_name),
		cmocka_unit_test(an_endpoint_with_a_password_is_not_shown),
		cmocka_unit_test(keys_of_the_other_backend_are_refused),
		cmocka_unit_test(sidecar_keys_are_accepted),
		cmocka_unit_test(one_file_system_under_two_names_must_agree),
		cmocka_unit_test(a_set_survives_its_own_text),
		cmocka_unit_test(every_default_passes_its_own_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
