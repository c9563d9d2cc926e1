/* volume/context: what PersistentVolumes carry, those of the Go driver among them. */
#include "volume/context.h"

#include <string.h>

#include "unit.h"

#define PARSE(params, e, ...)                                                                      \
	context_parse((struct text_pair[]){ __VA_ARGS__ },                                         \
		      sizeof((const struct text_pair[]){ __VA_ARGS__ }) /                          \
			      sizeof(struct text_pair),                                            \
		      "pvc-1", params, e)

static void what_the_go_driver_left_is_understood(void **state)
{
	struct params params = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(PARSE(&params, &e, { "capacity", "1073741824" }, { "fsGroup", "26" },
			       { "passphraseKey", "key" },
			       { "storage.kubernetes.io/csiProvisionerIdentity", "1-2-x" }),
			 0);
	assert_string_equal(params.value[PARAM_FS_GROUP], "26");
	assert_string_equal(params.value[PARAM_LOCAL_PATH], "/opt/local-path-provisioner");
	params_done(&params);
	assert_int_equal(PARSE(&params, &e, { "storage-backend", "s3" }, { "s3-bucket", "bucket" },
			       { "capacity", "1" }, { "fsType", "ext4" },
			       { "s3-access-key-id-secret-name", "keys" },
			       { "s3-access-key-id-secret-namespace", "kube-system" },
			       { "s3-secret-access-key-secret-name", "keys" },
			       { "s3-secret-access-key-secret-namespace", "kube-system" }),
			 0);
	assert_int_equal(params_backend(&params), BACKEND_S3);
	assert_string_equal(params.value[PARAM_S3_BUCKET], "bucket");
	params_done(&params);
}

static void a_folder_of_the_volume_itself_is_not_the_place_of_volumes(void **state)
{
	static const char *const paths[][2] = {
		{ "/mnt/disk/pvc-1", "/mnt/disk" },
		{ "/mnt/disk/pvc-10", "/mnt/disk/pvc-10" },
		{ "/mnt/pvc-1/disk", "/mnt/pvc-1/disk" },
		{ "/pvc-1", "/pvc-1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct params params = { 0 };
		struct err e = { 0 };

		assert_int_equal(PARSE(&params, &e, { "local-path", paths[i][0] }), 0);
		assert_string_equal(params.value[PARAM_LOCAL_PATH], paths[i][1]);
		params_done(&params);
	}
}

static void everything_else_is_checked(void **state)
{
	struct params params = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(PARSE(&params, &e, { "capacity", "1" }, { "local-pat", "/mnt" }), -1);
	assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(e.msg, "did you mean 'local-path'?"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_go_driver_left_is_understood),
		cmocka_unit_test(a_folder_of_the_volume_itself_is_not_the_place_of_volumes),
		cmocka_unit_test(everything_else_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
