/* A kubeconfig file: its current context, and the cluster and user that it names. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/fd.h"
#include "base/mem.h"
#include "kube/config.h"
#include "kube/yaml.h"

enum { FILE_LIMIT = 1 << 20 };

struct file {
	const char *path;
	json_t *root;
};

/* The part `kind` of the entry called `name` in the list `list`. Borrowed. */
static json_t *find_named(const struct file *file, const char *list, const char *name,
			  const char *kind, struct err *e)
{
	json_t *entry;
	size_t at;

	json_array_foreach(json_object_get(file->root, list), at, entry)
	{
		const char *found = json_string_value(json_object_get(entry, "name"));
		json_t *value = json_object_get(entry, kind);

		if (found && strcmp(found, name) == 0 && json_is_object(value))
			return value;
	}
	err_set(e, ERR_FAILED_PRECONDITION, "'%s' has no %s '%.100s'", file->path, kind, name);
	return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? text : NULL;
}

static char *resolved_path(const struct file *file, const char *path)
{
	const char *slash = strrchr(file->path, '/');

	if (!path || path[0] == '/' || !slash)
		return xstrdup(path);
	return xasprintf("%.*s/%s", (int)(slash - file->path), file->path, path);
}

/* Takes KEY-data, which wins, or the path KEY. */
static int take_pem(const struct file *file, const json_t *object, const char *key, char **ret_file,
		    char **ret_pem, struct err *e)
{
	auto_free char *data_key = xasprintf("%s-data", key);
	const char *data = text_of(object, data_key);
	size_t size;

	if (!data) {
		*ret_file = resolved_path(file, text_of(object, key));
		return 0;
	}
	*ret_pem = base64_decode(data, &size);
	if (!*ret_pem || strlen(*ret_pem) != size)
		return err_set(e, ERR_FAILED_PRECONDITION, "'%s': %s is not base64 of a PEM text",
			       file->path, data_key);
	return 0;
}

/* Without encryption a token would be everybody's; `kubectl proxy` listens on the loopback. */
static bool is_allowed_address(const char *server)
{
	static const char *const starts[] = { "https://", "http://127.0.0.1:", "http://[::1]:",
					      "http://localhost:" };

	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		if (strncmp(server, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

static int take_cluster(const struct file *file, const json_t *cluster, struct kube_config *config,
			struct err *e)
{
	const char *server = text_of(cluster, "server");

	if (!server || !is_allowed_address(server))
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s': server '%.200s' is not an https:// address", file->path,
			       server ? server : "");
	if (json_is_true(json_object_get(cluster, "insecure-skip-tls-verify")))
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s': insecure-skip-tls-verify is not supported: give the "
			       "certificate-authority instead",
			       file->path);
	if (text_of(cluster, "tls-server-name"))
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s': tls-server-name is not supported: use the certificate's name "
			       "as the server's",
			       file->path);
	config->server = xstrdup(server);
	for (size_t end = strlen(server); end > 0 && server[end - 1] == '/'; end--)
		config->server[end - 1] = '\0';
	config->proxy = xstrdup(text_of(cluster, "proxy-url"));
	return take_pem(file, cluster, "certificate-authority", &config->ca_file, &config->ca_pem,
			e);
}

static int take_user(const struct file *file, const json_t *user, struct kube_config *config,
		     struct err *e)
{
	static const char *const unsupported[] = { "exec", "auth-provider", "username", "password",
						   "as" };
	const char *token = text_of(user, "token");
	char *key = NULL;

	for (size_t i = 0; i < ARRAY_LEN(unsupported); i++)
		if (json_object_get(user, unsupported[i]))
			return err_set(e, ERR_FAILED_PRECONDITION,
				       "'%s': a user with '%s' is not supported: use a token or a "
				       "client certificate",
				       file->path, unsupported[i]);
	if (token && token[strcspn(token, " \t\r\n")])
		return err_set(e, ERR_FAILED_PRECONDITION, "'%s': the token holds white space",
			       file->path);
	config->token_file = resolved_path(file, text_of(user, "tokenFile"));
	if (token && !config->token_file)
		config->token = secret_new(token, strlen(token));
	if (take_pem(file, user, "client-certificate", &config->cert_file, &config->cert_pem, e) <
		    0 ||
	    take_pem(file, user, "client-key", &config->key_file, &key, e) < 0) {
		free(key);
		return -1;
	}
	if (key) {
		config->key_pem = secret_new(key, strlen(key));
		secret_wipe(key, strlen(key));
		free(key);
	}
	return 0;
}

int kube_config_from_file(const char *path, struct kube_config *ret_config, struct err *e)
{
	auto_kube_config struct kube_config config = { 0 };
	char *text = NULL;

	int rc = fd_read_trusted_file(path, FILE_LIMIT, &text);
	if (rc < 0)
		return err_set(e, ERR_FAILED_PRECONDITION, "cannot read the kubeconfig '%s': %s",
			       path, strerror(-rc));
	auto_json json_t *root = yaml_parse_object(text, path, e);
	secret_wipe(text, strlen(text));
	free(text);
	if (!root)
		return -1;
	struct file file = { path, root };
	const char *current = text_of(root, "current-context");
	if (!current)
		return err_set(e, ERR_FAILED_PRECONDITION, "'%s' has no current-context", path);
	const json_t *context = find_named(&file, "contexts", current, "context", e);
	if (!context)
		return -1;
	const char *cluster_name = text_of(context, "cluster"),
		   *user_name = text_of(context, "user");
	const json_t *cluster =
		find_named(&file, "clusters", cluster_name ? cluster_name : "", "cluster", e);
	if (!cluster || take_cluster(&file, cluster, &config, e) < 0)
		return -1;
	if (user_name) {
		const json_t *user = find_named(&file, "users", user_name, "user", e);

		if (!user || take_user(&file, user, &config, e) < 0)
			return -1;
	}
	*ret_config = TAKE(config, (struct kube_config){ 0 });
	return 0;
}
