/* rclone's configuration in a sealed memfd. */
#include "s3/rclone_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "s3/obscure.h"

/*
 * The first error counts; what follows it writes nothing. Secrets go straight from their own memory
 * to the memfd.
 */
struct writer {
	int fd;
	int rc;
};

static void put_bytes(struct writer *w, const void *bytes, size_t size)
{
	if (w->rc == 0)
		w->rc = fd_write_all(w->fd, bytes, size);
}

static void put(struct writer *w, const char *fmt, ...) PRINTF(2, 3);

static void put(struct writer *w, const char *fmt, ...)
{
	char line[2048];
	va_list args;

	va_start(args, fmt);
	int length = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (length < 0 || length >= (int)sizeof(line))
		w->rc = -EINVAL;
	else
		put_bytes(w, line, (size_t)length);
}

static void put_secret(struct writer *w, const char *name, const struct secret *value)
{
	put(w, "%s = ", name);
	put_bytes(w, secret_bytes(value), secret_size(value));
	put(w, "\n");
}

/* A value ends at the line's end, and rclone's parser knows quotes and "%(name)s". */
static int check_key(const char *name, const struct secret *value, struct err *e)
{
	const char *bytes = secret_bytes(value);
	size_t size = secret_size(value);

	if (size && (bytes[size - 1] == '\n' || bytes[size - 1] == '\r'))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "'%s' in the Secret ends in a line end: make it anew without one "
			       "(`echo -n`, or `kubectl create secret generic --from-literal`)",
			       name);
	for (size_t i = 0; i < size; i++)
		if (bytes[i] <= ' ' || bytes[i] > '~' || strchr("\"`", bytes[i]) ||
		    (bytes[i] == '%' && i + 1 < size && bytes[i + 1] == '('))
			return err_set(e, ERR_INVALID_ARGUMENT,
				       "'%s' in the Secret is no key of S3: it holds a space, a "
				       "quote or a byte that is not printable",
				       name);
	return 0;
}

static int put_s3(struct writer *w, const struct rclone_config *config, struct err *e)
{
	if (check_key("s3-access-key-id", config->access_key_id, e) < 0 ||
	    check_key("s3-secret-access-key", config->secret_access_key, e) < 0)
		return -1;
	put(w, "[s3]\ntype = s3\nprovider = %s\nenv_auth = false\n",
	    config->endpoint ? "Other" : "AWS");
	put_secret(w, "access_key_id", config->access_key_id);
	put_secret(w, "secret_access_key", config->secret_access_key);
	if (config->region)
		put(w, "region = %s\n", config->region);
	if (config->endpoint)
		put(w, "endpoint = %s\n", config->endpoint);
	/* Without markers empty folders vanish; the bucket is the administrator's to make. */
	put(w,
	    "force_path_style = %s\nno_check_bucket = true\ndirectory_markers = true\n"
	    "chunk_size = 8M\nupload_concurrency = 2\n",
	    config->force_path_style ? "true" : "false");
	return 0;
}

static int put_crypt(struct writer *w, const struct rclone_config *config, struct err *e)
{
	auto_secret struct secret *first = NULL, *second = NULL;

	if (!config->password)
		return 0;
	if (obscure(config->password, &first, e) < 0 || obscure(config->password2, &second, e) < 0)
		return -1;
	put(w,
	    "\n[c]\ntype = crypt\nremote = s3:%s/%s\nfilename_encryption = standard\n"
	    "directory_name_encryption = true\n",
	    config->bucket, config->prefix);
	put_secret(w, "password", first);
	put_secret(w, "password2", second);
	return 0;
}

int rclone_config_open(const struct rclone_config *config, int *ret_fd, struct err *e)
{
	enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };
	auto_close int fd = memfd_create("rclone", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct writer w = { .fd = fd };

	if (fd < 0)
		return err_sys(e, errno, "cannot make the memory file of rclone's configuration");
	if (put_s3(&w, config, e) < 0 || put_crypt(&w, config, e) < 0)
		return -1;
	if (w.rc == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		w.rc = -errno;
	if (w.rc < 0)
		return err_sys(e, -w.rc, "cannot write rclone's configuration");
	*ret_fd = TAKE(fd, -1);
	return 0;
}
