/*
 * Where the Kubernetes API is and who we are there: from the service account of a pod, or from
 * a kubeconfig file.
 */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

#include "base/err.h"
#include "base/secret.h"

/* Where kubelet puts a pod's service account. */
#define KUBE_SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* Of each pair at most one is set; NULL: absent. */
struct kube_config {
	char *server;  /* "https://10.96.0.1:443", no slash at the end */
	char *ca_file; /* PEM; neither: the certificate authorities of the system */
	char *ca_pem;
	char *token_file; /* read for each request: bound tokens change every hour */
	struct secret *token;
	char *cert_file;
	char *cert_pem;
	char *key_file;
	struct secret *key_pem;
	char *proxy; /* NULL: of $HTTPS_PROXY and $NO_PROXY */
};

/*
 * The configuration of a pod: `dir` is KUBE_SERVICE_ACCOUNT_DIR, host and port are
 * $KUBERNETES_SERVICE_HOST (also an IPv6 address) and $KUBERNETES_SERVICE_PORT. Release with
 * kube_config_done(). FAILED_PRECONDITION when one of them is missing.
 */
int kube_config_in_cluster(const char *dir, const char *host, const char *port,
			   struct kube_config *ret_config, struct err *e) MUST_CHECK;

/*
 * The current context of a kubeconfig file; relative paths in it are relative to its folder.
 * FAILED_PRECONDITION says what is wrong with the file, or which way of logging in is not
 * supported (programs, passwords, TLS without verification).
 */
int kube_config_from_file(const char *path, struct kube_config *ret_config,
			  struct err *e) MUST_CHECK;

/* `kubeconfig` if not NULL or "", else the pod's, by its environment. */
int kube_config_load(const char *kubeconfig, struct kube_config *ret_config,
		     struct err *e) MUST_CHECK;

/*
 * The token of the next request, owned by the caller; *ret_token is NULL without one.
 * FAILED_PRECONDITION when the token's file cannot be read.
 */
int kube_config_token(const struct kube_config *config, struct secret **ret_token,
		      struct err *e) MUST_CHECK;

void kube_config_done(struct kube_config *config);
#define auto_kube_config __attribute__((cleanup(kube_config_done)))

#endif
