/* What a request says about a volume in S3. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "csi/request.h"
#include "csi/s3.h"
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
