/* volume/s3_layout: prefixes, templates and passwords of S3 volumes. */
#include "volume/s3_layout.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "unit.h"

static void parse(struct params *params, const char *prefix)
{
	const struct text_pair pairs[] = { { "storage-backend", "s3" },
					   { "s3-bucket", "bucket" },
					   { "s3-path-prefix", prefix } };
	struct err e = { 0 };

	assert_int_equal(params_parse(pairs, prefix ? 3 : 2, params, &e), 0);
}

static void prefixes_that_name_no_folder_of_their_own_are_refused(void **state)
{
	static const char *const bad[] = {
		"",	  "/",		"/a",	 "a/",	  "a//b", "..",	  "../a",
		"a/../b", "a..b",	".",	 "a/./b", " a",	  "a ",	  "a/ b",
		"a\\b",	  "a\"b",	"a'b",	 "a`b",	  "a%2e", "a\nb", "a\xff b",
		"${x}",	  "${pvc.name", "$name", "{pvc}", "a$",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (s3_prefix_is_valid(bad[i]))
			fail_msg("'%s' is taken for a prefix", bad[i]);
}

static void prefixes_of_the_specification_and_beyond_are_taken(void **state)
{
	static const char *const good[] = {
		"my-app/data",
		"a",
		"a/b/c.d",
		"données/ключ/数据",
		"with space/inside it",
		"${pvc.namespace}/${pvc.name}",
		"x-${pv.name}-y",
		"a:b,c=d",
	};
	char longest[S3_PREFIX_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!s3_prefix_is_valid(good[i]))
			fail_msg("'%s' is refused", good[i]);
	memset(longest, 'x', sizeof(longest));
	longest[S3_PREFIX_MAX + 1] = '\0';
	assert_false(s3_prefix_is_valid(longest));
	longest[S3_PREFIX_MAX] = '\0';
	assert_true(s3_prefix_is_valid(longest));
}

static void templates_are_replaced_and_frozen(void **state)
{
	const struct s3_names names = { "shop", "data-0", "pvc-1" };
	auto_params struct params params = { 0 };
	struct err e = { 0 };

	(void)state;
	parse(&params, "k8s/${pvc.namespace}/${pvc.name}/${pv.name}");
	assert_int_equal(s3_prefix_resolve(&params, &names, &e), 0);
	assert_string_equal(params.value[PARAM_S3_PATH_PREFIX], "k8s/shop/data-0/pvc-1");
}

static void a_template_without_a_value_is_refused(void **state)
{
	const struct s3_names names = { NULL, "data-0", "pvc-1" };
	auto_params struct params params = { 0 };
	struct err e = { 0 };

	(void)state;
	parse(&params, "a/${pvc.namespace}");
	assert_int_equal(s3_prefix_resolve(&params, &names, &e), -1);
	assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(e.msg, "--extra-create-metadata"));
}

static void a_value_cannot_lead_out_of_its_place(void **state)
{
	static const char *const bad[] = { "..", "a/b", "a'b", "${pv.name}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct s3_names names = { bad[i], "n", "v" };
		auto_params struct params params = { 0 };
		struct err e = { 0 };

		parse(&params, "a/${pvc.namespace}/b");
		assert_int_equal(s3_prefix_resolve(&params, &names, &e), -1);
		assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
	}
}

static void assert_password2(const char *prefix, const char *expected)
{
	auto_params struct params params = { 0 };
	auto_secret struct secret *passphrase = secret_new("your-passphrase", 15);

	parse(&params, prefix);
	auto_secret struct secret *second = s3_password2(passphrase, s3_salt_of(&params, "pvc-7"));
	assert_int_equal(secret_size(second), strlen(expected));
	assert_memory_equal(secret_bytes(second), expected, strlen(expected));
}

static void passwords_are_those_of_the_specification(void **state)
{
	(void)state;
	assert_password2("my-app/data", "your-passphrase-my-app/data");
	assert_password2(NULL, "your-passphrase-pvc-7");
}

static void the_place_is_that_of_the_specification(void **state)
{
	auto_params struct params own = { 0 }, given = { 0 };

	(void)state;
	parse(&own, NULL);
	parse(&given, "my-app/data");
	auto_free char *first = s3_prefix_of(&own, "pvc-7");
	auto_free char *second = s3_prefix_of(&given, "pvc-7");
	assert_string_equal(first, "volumes/pvc-7/files");
	assert_string_equal(second, "my-app/data");
}

static enum s3_overlap compare(const char *a, const char *b)
{
	auto_params struct params x = { 0 }, y = { 0 };

	parse(&x, a);
	parse(&y, b);
	return s3_places_compare(&x, "pvc-1", &y, "pvc-2");
}

static void volumes_in_each_others_way_are_seen(void **state)
{
	(void)state;
	assert_int_equal(compare(NULL, NULL), S3_APART);
	assert_int_equal(compare("a", "b"), S3_APART);
	assert_int_equal(compare("a", "ab"), S3_APART);
	assert_int_equal(compare("a", "a"), S3_SAME);
	assert_int_equal(compare("a", "a/b"), S3_NESTED);
	assert_int_equal(compare("volumes", NULL), S3_NESTED);
	assert_int_equal(compare("volumes/pvc-2/files/x", NULL), S3_NESTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_that_name_no_folder_of_their_own_are_refused),
		cmocka_unit_test(prefixes_of_the_specification_and_beyond_are_taken),
		cmocka_unit_test(templates_are_replaced_and_frozen),
		cmocka_unit_test(a_template_without_a_value_is_refused),
		cmocka_unit_test(a_value_cannot_lead_out_of_its_place),
		cmocka_unit_test(passwords_are_those_of_the_specification),
		cmocka_unit_test(the_place_is_that_of_the_specification),
		cmocka_unit_test(volumes_in_each_others_way_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
