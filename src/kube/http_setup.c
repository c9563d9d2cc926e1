/* A request into libcurl's options. */
#include "kube/http_setup.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

/* A server on the other side of the world answers a connection in less. */
enum { CONNECT_MS = 5000, KEEPALIVE_IDLE_S = 20, KEEPALIVE_INTERVAL_S = 10 };

static void add_header(struct http_transfer *t, const struct http_library *l, const char *text)
{
	t->headers = l->curl_slist_append(t->headers, text);
}

static int add_token(struct http_transfer *t, const struct http_library *l,
		     const struct kube_config *config, struct err *e)
{
	auto_secret struct secret *token = NULL;

	if (kube_config_token(config, &token, e) < 0)
		return -1;
	if (!token)
		return 0;
	char *header = xasprintf("Authorization: Bearer %.*s", (int)secret_size(token),
				 (const char *)secret_bytes(token));
	add_header(t, l, header);
	secret_wipe(header, strlen(header));
	free(header);
	return 0;
}

static void set_blob(const struct http_transfer *t, const struct http_library *l, CURLoption option,
		     const void *bytes, size_t size)
{
	struct curl_blob blob = { (void *)bytes, size, CURL_BLOB_COPY };

	l->curl_easy_setopt(t->easy, option, &blob);
}

/* The verification of the server's certificate and name is libcurl's default. */
static void set_tls(const struct http_transfer *t, const struct http_library *l,
		    const struct kube_config *c)
{
	if (c->ca_pem)
		set_blob(t, l, CURLOPT_CAINFO_BLOB, c->ca_pem, strlen(c->ca_pem));
	else if (c->ca_file)
		l->curl_easy_setopt(t->easy, CURLOPT_CAINFO, c->ca_file);
	/* Only ours: not also everybody whom the system trusts. */
	if (c->ca_pem || c->ca_file)
		l->curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL);
	if (c->cert_pem)
		set_blob(t, l, CURLOPT_SSLCERT_BLOB, c->cert_pem, strlen(c->cert_pem));
	else if (c->cert_file)
		l->curl_easy_setopt(t->easy, CURLOPT_SSLCERT, c->cert_file);
	if (c->key_pem)
		set_blob(t, l, CURLOPT_SSLKEY_BLOB, secret_bytes(c->key_pem),
			 secret_size(c->key_pem));
	else if (c->key_file)
		l->curl_easy_setopt(t->easy, CURLOPT_SSLKEY, c->key_file);
	l->curl_easy_setopt(t->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static void set_limits(const struct http_transfer *t, const struct http_library *l,
		       const struct http_request *request)
{
	l->curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	/* Else the end of a transfer waits for a name server that does not answer. */
	l->curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L);
	l->curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	l->curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	/* A server that is gone without a word is noticed after about two minutes. */
	l->curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	l->curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
	l->curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
	l->curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 0L);
	/* HTTP/2 would bring a second nghttp2 and gives nothing to one request at a time. */
	l->curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

int http_transfer_setup(struct http_transfer *t, const struct http_library *l,
			const struct kube_config *config, const struct http_request *request,
			struct err *e)
{
	auto_free char *url = xasprintf("%s%s", config->server, request->path);

	l->curl_easy_reset(t->easy);
	t->error[0] = '\0';
	l->curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
	l->curl_easy_setopt(t->easy, CURLOPT_URL, url);
	l->curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "lukscryptwalker/" PROGRAM_VERSION);
	if (config->proxy)
		l->curl_easy_setopt(t->easy, CURLOPT_PROXY, config->proxy);
	set_limits(t, l, request);
	set_tls(t, l, config);
	add_header(t, l, "Accept: application/json");
	/* No question whether a body is welcome: it costs a round trip. */
	add_header(t, l, "Expect:");
	if (strcmp(request->method, "GET") != 0)
		l->curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, request->method);
	if (request->body) {
		auto_free char *type = xasprintf("Content-Type: %s", request->content_type);

		add_header(t, l, type);
		l->curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(request->body));
		l->curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, request->body);
	}
	if (add_token(t, l, config, e) < 0) {
		http_transfer_done(t, l);
		return -1;
	}
	l->curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	return 0;
}

void http_transfer_done(struct http_transfer *t, const struct http_library *l)
{
	for (struct curl_slist *at = t->headers; at; at = at->next)
		secret_wipe(at->data, strlen(at->data));
	l->curl_slist_free_all(t->headers);
	t->headers = NULL;
	l->curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
}

int http_transfer_error(const struct http_transfer *t, const struct http_library *l,
			const struct kube_config *config, CURLcode code, struct err *e)
{
	const char *why = *t->error ? t->error : l->curl_easy_strerror(code);

	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(e, ERR_DEADLINE_EXCEEDED,
			       "the Kubernetes API at %s does not answer: %s", config->server, why);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		return err_set(e, ERR_UNAVAILABLE,
			       "the certificates for the Kubernetes API at %s are not good: %s",
			       config->server, why);
	default:
		return err_set(e, ERR_UNAVAILABLE, "cannot reach the Kubernetes API at %s: %s",
			       config->server, why);
	}
}

bool http_transfer_may_have_run(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		return false;
	default:
		return true;
	}
}

void http_transfer_head(const struct http_transfer *t, const struct http_library *l,
			struct http_reply *ret_reply)
{
	curl_off_t seconds = 0;

	l->curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &ret_reply->status);
	l->curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &seconds);
	ret_reply->retry_after_ms = seconds > 0 && seconds < 86400 ? (int64_t)seconds * 1000 : -1;
}
