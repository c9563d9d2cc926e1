/* The pod's service account, and what both ways of configuration share. */
#include "kube/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

enum { TOKEN_LIMIT = 64 << 10 };

void kube_config_done(struct kube_config *config)
{
	free(config->server);
	free(config->ca_file);
	free(config->ca_pem);
	free(config->token_file);
	secret_free(config->token);
	free(config->cert_file);
	free(config->cert_pem);
	free(config->key_file);
	secret_free(config->key_pem);
	free(config->proxy);
	*config = (struct kube_config){ 0 };
}

int kube_config_in_cluster(const char *dir, const char *host, const char *port,
			   struct kube_config *ret_config, struct err *e)
{
	auto_kube_config struct kube_config config = { 0 };

	if (!host || !*host || !port || !*port)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"$KUBERNETES_SERVICE_HOST and $KUBERNETES_SERVICE_PORT are not set: "
			"this is no pod of Kubernetes (set $KUBECONFIG, or run this in a pod)");
	config.server =
		xasprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	config.ca_file = xasprintf("%s/ca.crt", dir);
	config.token_file = xasprintf("%s/token", dir);
	if (access(config.token_file, R_OK) < 0)
		return err_sys(e, errno,
			       "cannot read '%s': the pod has no service account "
			       "(automountServiceAccountToken)",
			       config.token_file);
	*ret_config = TAKE(config, (struct kube_config){ 0 });
	return 0;
}

int kube_config_load(const char *kubeconfig, struct kube_config *ret_config, struct err *e)
{
	if (kubeconfig && *kubeconfig)
		return kube_config_from_file(kubeconfig, ret_config, e);
	return kube_config_in_cluster(KUBE_SERVICE_ACCOUNT_DIR, getenv("KUBERNETES_SERVICE_HOST"),
				      getenv("KUBERNETES_SERVICE_PORT"), ret_config, e);
}

int kube_config_token(const struct kube_config *config, struct secret **ret_token, struct err *e)
{
	char *text = NULL;

	*ret_token = NULL;
	if (config->token) {
		*ret_token = secret_new(secret_bytes(config->token), secret_size(config->token));
		return 0;
	}
	if (!config->token_file)
		return 0;
	int rc = fd_read_trusted_file(config->token_file, TOKEN_LIMIT, &text);
	if (rc < 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "cannot read the token of the Kubernetes API '%s': %s",
			       config->token_file, strerror(-rc));
	size_t size = strlen(text), kept = size;
	while (kept > 0 && strchr(" \t\r\n", text[kept - 1]))
		kept--;
	/* A line break would be a header of its own. */
	bool is_word = kept > 0 && strcspn(text, " \t\r\n") == kept;
	if (is_word)
		*ret_token = secret_new(text, kept);
	secret_wipe(text, size);
	free(text);
	if (!is_word)
		return err_set(e, ERR_FAILED_PRECONDITION, "'%s' does not hold a token",
			       config->token_file);
	return 0;
}
