/* s3/rclone_config: what rclone is told, for each kind of server; and what it must not be told. */
#include "s3/rclone_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#include "base/macros.h"

static struct secret *text_secret(const char *text)
{
	return secret_new(text, strlen(text));
}

/* The configuration, with the two passwords, which are never the same, cut off. */
static void render(struct rclone_config *config, char text[4096])
{
	auto_secret struct secret *id = text_secret("AKIA"), *key = text_secret("key/+=");
	auto_secret struct secret *first = text_secret("one"), *second = text_secret("two");
	struct err e = { 0 };
	int fd;

	config->access_key_id = id;
	config->secret_access_key = key;
	config->password = first;
	config->password2 = second;
	assert_int_equal(rclone_config_open(config, &fd, &e), 0);
	ssize_t got = pread(fd, text, 4095, 0);
	assert_true(got > 0);
	text[got] = '\0';
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
	for (char *at = text; (at = strstr(at, "password"));) {
		char *value = strstr(at, " = ") + 3, *end = strchr(value, '\n');

		assert_true(end - value >= 22);
		memmove(value, end, strlen(end) + 1);
		at = value;
	}
}

#define END(path_style)                                                                            \
	"force_path_style = " path_style "\nno_check_bucket = true\ndirectory_markers = true\n"    \
	"chunk_size = 8M\nupload_concurrency = 2\n\n[c]\ntype = crypt\n"
#define NAMES "filename_encryption = standard\ndirectory_name_encryption = true\n"
#define PASSWORDS "password = \npassword2 = \n"

static void aws(void **state)
{
	struct rclone_config config = { .bucket = "my-bucket",
					.prefix = "volumes/pvc-1/files",
					.region = "eu-central-1" };
	char text[4096];

	(void)state;
	render(&config, text);
	assert_string_equal(text,
			    "[s3]\ntype = s3\nprovider = AWS\nenv_auth = false\n"
			    "access_key_id = AKIA\nsecret_access_key = key/+=\n"
			    "region = eu-central-1\n" END(
				    "false") "remote = s3:my-bucket/volumes/pvc-1/files\n" NAMES
				    PASSWORDS);
}

static void ovh(void **state)
{
	struct rclone_config config = { .bucket = "my-bucket",
					.prefix = "shop/data",
					.region = "gra",
					.endpoint = "https://s3.gra.io.cloud.ovh.net" };
	char text[4096];

	(void)state;
	render(&config, text);
	assert_string_equal(text,
			    "[s3]\ntype = s3\nprovider = Other\nenv_auth = false\n"
			    "access_key_id = AKIA\nsecret_access_key = key/+=\n"
			    "region = gra\nendpoint = https://s3.gra.io.cloud.ovh.net\n" END(
				    "false") "remote = s3:my-bucket/shop/data\n" NAMES PASSWORDS);
}

static void minio(void **state)
{
	struct rclone_config config = { .bucket = "my-bucket",
					.prefix = "volumes/pvc-1/files",
					.region = "us-east-1",
					.endpoint = "http://minio.minio.svc:9000",
					.force_path_style = true };
	char text[4096];

	(void)state;
	render(&config, text);
	assert_string_equal(text,
			    "[s3]\ntype = s3\nprovider = Other\nenv_auth = false\n"
			    "access_key_id = AKIA\nsecret_access_key = key/+=\n"
			    "region = us-east-1\nendpoint = http://minio.minio.svc:9000\n" END(
				    "true") "remote = s3:my-bucket/volumes/pvc-1/files\n" NAMES
				    PASSWORDS);
}

static void keys_that_would_be_another_line_are_refused(void **state)
{
	static const char *const bad[] = { "key\n",	   "key\r\n",	"a\nendpoint = http://evil",
					   "a b",	   "\"quote\"", "`x`",
					   "%(password)s", "\x01",	"\xc3\xa9" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_secret struct secret *good = text_secret("AKIA"), *key = text_secret(bad[i]);
		const struct rclone_config config = { .bucket = "b",
						      .prefix = "p",
						      .access_key_id = good,
						      .secret_access_key = key };
		struct err e = { 0 };
		int fd = -1;

		assert_int_equal(rclone_config_open(&config, &fd, &e), -1);
		assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
		assert_non_null(strstr(e.msg, "s3-secret-access-key"));
		assert_null(strstr(e.msg, "evil"));
		assert_int_equal(fd, -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aws),
		cmocka_unit_test(ovh),
		cmocka_unit_test(minio),
		cmocka_unit_test(keys_that_would_be_another_line_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
