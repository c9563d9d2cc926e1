/* The place and the passwords of an S3 volume. */
#include "volume/s3_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"

struct template
{
	const char *text;
	size_t place; /* of the value in struct s3_names */
};

static const struct template templates[] = {
	{ "${pvc.namespace}", offsetof(struct s3_names, pvc_namespace) },
	{ "${pvc.name}", offsetof(struct s3_names, pvc_name) },
	{ "${pv.name}", offsetof(struct s3_names, pv_name) },
};

/* The template that `text` begins with, or NULL. */
static const struct template *template_at(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(templates); i++)
		if (strncmp(text, templates[i].text, strlen(templates[i].text)) == 0)
			return &templates[i];
	return NULL;
}

/* Each component is a name: not empty, not ".", no space at its ends. */
static bool has_good_components(const char *prefix)
{
	for (const char *at = prefix;; at++) {
		size_t length = strcspn(at, "/");

		if (length == 0 || (length == 1 && at[0] == '.') || at[0] == ' ' ||
		    at[length - 1] == ' ')
			return false;
		at += length;
		if (!*at)
			return true;
	}
}

bool s3_prefix_is_valid(const char *prefix)
{
	if (strlen(prefix) > S3_PREFIX_MAX || !text_is_clean(prefix) || strstr(prefix, "..") ||
	    strpbrk(prefix, "\\\"'`%") || !has_good_components(prefix))
		return false;
	for (const char *at = prefix; *at; at++) {
		const struct template *found = template_at(at);

		if (found)
			at += strlen(found->text) - 1;
		else if (strchr("${}", *at))
			return false;
	}
	return true;
}

static int add_value(FILE *out, const struct template *template, const struct s3_names *names,
		     struct err *e)
{
	const char *value = *(const char *const *)((const char *)names + template->place);

	if (!value || !*value)
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"StorageClass parameter 's3-path-prefix' holds '%s', but the request does "
			"not say what it is: run external-provisioner with --extra-create-metadata",
			template->text);
	if (strchr(value, '/'))
		return err_set(e, ERR_INVALID_ARGUMENT, "the value of '%s' holds a '/'",
			       template->text);
	fputs(value, out);
	return 0;
}

static int expand(const char *prefix, const struct s3_names *names, char **ret_text, struct err *e)
{
	size_t size;
	auto_free char *text = NULL;
	FILE *out = open_memstream(&text, &size);
	int rc = 0;

	if (!out)
		abort();
	for (const char *at = prefix; *at && rc == 0; at++) {
		const struct template *found = template_at(at);

		if (!found) {
			fputc(*at, out);
			continue;
		}
		rc = add_value(out, found, names, e);
		at += strlen(found->text) - 1;
	}
	if (fclose(out) != 0)
		abort();
	if (rc == 0)
		*ret_text = TAKE(text, NULL);
	return rc;
}

int s3_prefix_resolve(struct params *params, const struct s3_names *names, struct err *e)
{
	const char *prefix = params->value[PARAM_S3_PATH_PREFIX];
	auto_free char *resolved = NULL;

	if (!prefix || !strchr(prefix, '$'))
		return 0;
	if (expand(prefix, names, &resolved, e) < 0)
		return -1;
	if (!s3_prefix_is_valid(resolved) || strchr(resolved, '$'))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "StorageClass parameter 's3-path-prefix' becomes '%.200s', which is "
			       "not valid: it must be " S3_PREFIX_EXPECTED,
			       resolved);
	params_set(params, PARAM_S3_PATH_PREFIX, resolved);
	return 0;
}

char *s3_prefix_of(const struct params *params, const char *id)
{
	const char *prefix = params->value[PARAM_S3_PATH_PREFIX];

	return prefix ? xstrdup(prefix) : xasprintf("volumes/%s/files", id);
}

const char *s3_salt_of(const struct params *params, const char *id)
{
	const char *prefix = params->value[PARAM_S3_PATH_PREFIX];

	return prefix ? prefix : id;
}

struct secret *s3_password2(const struct secret *passphrase, const char *salt)
{
	size_t size = secret_size(passphrase) + strlen(salt) + 1;
	char *text = xcalloc(1, size);
	char *at = text + secret_size(passphrase);

	memcpy(text, secret_bytes(passphrase), secret_size(passphrase));
	*at++ = '-';
	while (*salt)
		*at++ = *salt++;
	struct secret *password2 = secret_new(text, size);
	secret_wipe(text, size);
	free(text);
	return password2;
}

static bool is_inside(const char *inner, const char *outer)
{
	size_t length = strlen(outer);

	return strncmp(inner, outer, length) == 0 && inner[length] == '/';
}

enum s3_overlap s3_places_compare(const struct params *a, const char *a_id, const struct params *b,
				  const char *b_id)
{
	auto_free char *x = s3_prefix_of(a, a_id);
	auto_free char *y = s3_prefix_of(b, b_id);

	if (params_backend(a) != BACKEND_S3 || params_backend(b) != BACKEND_S3 ||
	    !params_same(a, b, PARAM_S3_BUCKET))
		return S3_APART;
	if (strcmp(x, y) == 0)
		return S3_SAME;
	return is_inside(x, y) || is_inside(y, x) ? S3_NESTED : S3_APART;
}
