/* What a request says about a volume in S3. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "csi/request.h"
#include "csi/s3.h"
#include "kube/secret.h"
#include "volume/s3_layout.h"

bool csi_is_s3(const struct csi_service *service, const char *id, void *const context[],
	       size_t count)
{
	auto_record struct volume_record record = { 0 };
	struct err ignored;

	if (volume_id_check(id, &ignored) < 0)
		return false;
	if (store_get(service->store, id, &record, &ignored) == 0)
		return params_backend(&record.params) == BACKEND_S3;
	const char *backend = request_map_value(context, count, "storage-backend");
	return ignored.code == ERR_NOT_FOUND && backend && strcmp(backend, "s3") == 0;
}

struct s3_secrets csi_s3_secrets(const struct rpc_call *call, const struct params *params)
{
	return (struct s3_secrets){
		.access_key = rpc_call_secret(call, "s3-access-key-id"),
		.secret_key = rpc_call_secret(call, "s3-secret-access-key"),
		.passphrase = rpc_call_secret(call, params->value[PARAM_PASSPHRASE_KEY]),
	};
}

void csi_s3_keys_done(struct csi_s3_keys *keys)
{
	for (size_t i = 0; i < ARRAY_LEN(keys->own); i++)
		secret_free(keys->own[i]);
}

static int explain(const char *name_space, const char *name, struct err *e)
{
	if (e->code == ERR_NOT_FOUND)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the Secret '%s/%s' with the S3 keys does not exist (StorageClass "
			       "parameter 's3-access-key-id-secret-name')",
			       name_space, name);
	if (e->code == ERR_PERMISSION_DENIED)
		return err_wrap(e,
				"the driver may not read the S3 keys: kubectl -n %s create role "
				"lcw-%s --verb=get --resource=secrets --resource-name=%s, and bind "
				"it (docs/storageclass.md, \"Secrets with S3 keys\")",
				name_space, name, name);
	return -1;
}

/* The names of Kubernetes objects are short; a class may leave the namespace out. */
static int read_keys(const struct csi_service *service, const struct params *params,
		     struct csi_s3_keys *keys, struct err *e)
{
	static const char *const names[] = { "s3-access-key-id", "s3-secret-access-key" };
	bool first = params->value[PARAM_S3_ACCESS_KEY_SECRET_NAME];
	const char *name =
		params->value[first ? PARAM_S3_ACCESS_KEY_SECRET_NAME : PARAM_S3_SECRET_NAME];
	const char *name_space = params->value[first ? PARAM_S3_ACCESS_KEY_SECRET_NAMESPACE
						     : PARAM_S3_SECRET_NAMESPACE];

	if (!service->kube || !name)
		return 0; /* whoever needs a key says that it is missing */
	if (!name_space)
		name_space = "default";
	if (kube_get_secret(service->kube, name_space, name, names, keys->own, ARRAY_LEN(names),
			    e) < 0)
		return explain(name_space, name, e);
	if (!keys->own[0] || !keys->own[1])
		return err_set(e, ERR_INVALID_ARGUMENT, "Secret '%s/%s' has no key '%s'",
			       name_space, name, names[keys->own[0] ? 1 : 0]);
	keys->secrets.access_key = keys->own[0];
	keys->secrets.secret_key = keys->own[1];
	return 0;
}

int csi_s3_keys_find(const struct rpc_call *call, const struct params *params,
		     struct csi_s3_keys *ret_keys, struct err *e)
{
	*ret_keys = (struct csi_s3_keys){ .secrets = csi_s3_secrets(call, params) };
	if (ret_keys->secrets.access_key || ret_keys->secrets.secret_key)
		return 0;
	return read_keys(call->service, params, ret_keys, e);
}

/* A value of the Secret that is no secret, as text; NULL when it is not there. */
static int secret_text(const struct rpc_call *call, enum param which, char **ret_text,
		       struct err *e)
{
	const struct param_rule *rule = &param_rules[which];
	const struct secret *value = rpc_call_secret(call, rule->key);

	*ret_text = NULL;
	if (!value || secret_size(value) == 0)
		return 0;
	size_t size = secret_size(value);
	auto_free char *text = size <= 4096 ? xcalloc(1, size + 1) : NULL;
	if (text)
		memcpy(text, secret_bytes(value), size);
	/* What is wrong is not shown: somebody may have put a key into the wrong field. */
	if (!text || strlen(text) != size || !text_is_clean(text) || !rule->check(text))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "the value of '%s' in the Secret is not valid: it must be %s",
			       rule->key, rule->expected);
	*ret_text = TAKE(text, NULL);
	return 0;
}

static int take_from_secret(const struct rpc_call *call,
			    const Csi__V1__CreateVolumeRequest *request, enum param which,
			    struct params *params, struct err *e)
{
	const char *key = param_rules[which].key;
	auto_free char *text = NULL;

	if (secret_text(call, which, &text, e) < 0)
		return -1;
	if (!text)
		return 0;
	if (!request_map_value((void *const *)request->parameters, request->n_parameters, key)) {
		params_set(params, which, text);
		return 0;
	}
	if (strcmp(params->value[which], text) != 0)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "StorageClass and Secret disagree about '%s': the class says '%s'",
			       key, params->value[which]);
	return 0;
}

int csi_s3_complete(const struct rpc_call *call, const Csi__V1__CreateVolumeRequest *request,
		    struct params *params, struct err *e)
{
	static const enum param both[] = { PARAM_S3_BUCKET, PARAM_S3_REGION, PARAM_S3_ENDPOINT,
					   PARAM_S3_FORCE_PATH_STYLE, PARAM_S3_PATH_PREFIX };
	void *const *entries = (void *const *)request->parameters;
	size_t count = request->n_parameters;

	for (size_t i = 0; i < ARRAY_LEN(both); i++)
		if (take_from_secret(call, request, both[i], params, e) < 0)
			return -1;
	if (!params->value[PARAM_S3_BUCKET])
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "storage-backend 's3' needs 's3-bucket', in the StorageClass or in "
			       "the provisioner Secret");
	const char *volume = request_map_value(entries, count, "csi.storage.k8s.io/pv/name");
	const struct s3_names names = {
		.pvc_namespace =
			request_map_value(entries, count, "csi.storage.k8s.io/pvc/namespace"),
		.pvc_name = request_map_value(entries, count, "csi.storage.k8s.io/pvc/name"),
		.pv_name = volume ? volume : request->name,
	};
	return s3_prefix_resolve(params, &names, e);
}
