/* StorageClass parameters: parsing, comparing, and the typed views. */
#include "volume/params.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

static const char kubernetes_keys[] = "csi.storage.k8s.io/";
static const char topology_keys[] = "topology.lukscryptwalker.csi.k8s.io/";
static const char provisioner_key[] = "storage.kubernetes.io/csiProvisionerIdentity";

static int find_key(const char *key)
{
	if (strcmp(key, "csi.storage.k8s.io/fstype") == 0)
		return PARAM_FS_TYPE;
	for (int i = 0; i < PARAM_COUNT; i++)
		if (strcmp(param_rules[i].key, key) == 0)
			return i;
	return -1;
}

static bool is_foreign_key(const char *key)
{
	return strncmp(key, kubernetes_keys, strlen(kubernetes_keys)) == 0 ||
	       strncmp(key, topology_keys, strlen(topology_keys)) == 0 ||
	       strcmp(key, provisioner_key) == 0;
}

static int unknown_key(const char *key, struct err *e)
{
	const char *known[PARAM_COUNT];

	if (!text_is_clean(key) || strlen(key) > 253)
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"a StorageClass parameter's key is too long or holds control characters");
	for (int i = 0; i < PARAM_COUNT; i++)
		known[i] = param_rules[i].key;
	bool likely;
	const char *near = nearest_word(key, known, PARAM_COUNT, &likely);
	return err_set(e, ERR_INVALID_ARGUMENT,
		       likely ? "unknown StorageClass parameter '%s': did you mean '%s'?"
			      : "unknown StorageClass parameter '%s' (the nearest known one is "
				"'%s')",
		       key, near);
}

static int take_pair(struct params *params, const struct text_pair *pair, struct err *e)
{
	int which = find_key(pair->key);

	if (which < 0)
		return is_foreign_key(pair->key) ? 0 : unknown_key(pair->key, e);

	const struct param_rule *rule = &param_rules[which];
	if (!*pair->value && which == PARAM_FS_TYPE)
		return 0; /* the sidecars write an empty csi.storage.k8s.io/fstype */
	if (!*pair->value || strlen(pair->value) > 4096 || !text_is_clean(pair->value) ||
	    !rule->check(pair->value)) {
		/* An endpoint may hold a password: such a value is named, not shown. */
		bool show = which != PARAM_S3_ENDPOINT && strlen(pair->value) <= 200 &&
			    text_is_clean(pair->value);
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "StorageClass parameter '%s'%s%s%s is not valid: it must be %s",
			       rule->key, show ? " = '" : "", show ? pair->value : "",
			       show ? "'" : "", rule->expected);
	}
	if (params->value[which] && strcmp(params->value[which], pair->value) != 0)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "StorageClass parameter '%s' is given twice, as '%s' and as '%s'",
			       rule->key, params->value[which], pair->value);
	params_set(params, (enum param)which, pair->value);
	return 0;
}

/* Trailing slashes say nothing and would make two names of one folder. */
static void trim_slashes(char *path)
{
	for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
		path[length - 1] = '\0';
}

static bool is_pbkdf2(const struct params *params)
{
	const char *pbkdf = params->value[PARAM_LUKS_PBKDF];

	return pbkdf && strcmp(pbkdf, "pbkdf2") == 0;
}

/* What libcryptsetup would refuse when the volume is first staged is refused here. */
static int check_iterations(const struct params *params, struct err *e)
{
	const char *text = params->value[PARAM_LUKS_PBKDF_ITERATIONS];
	uint64_t smallest = is_pbkdf2(params) ? 1000 : 4;
	uint64_t largest = is_pbkdf2(params) ? 100000000 : 1000, count;

	if (!text || (parse_uint(text, largest, &count) && count >= smallest))
		return 0;
	return err_set(
		e, ERR_INVALID_ARGUMENT,
		"StorageClass parameter '%s' = '%s' is not valid with luks-pbkdf '%s': it must "
		"be a number from %llu to %llu",
		param_rules[PARAM_LUKS_PBKDF_ITERATIONS].key, text, params->value[PARAM_LUKS_PBKDF],
		(unsigned long long)smallest, (unsigned long long)largest);
}

/* XTS takes two keys of the cipher's size; the other modes take one, of at most 256 bits. */
static int check_key(const struct params *params, struct err *e)
{
	const char *cipher = params->value[PARAM_LUKS_CIPHER];
	const char *bits = params->value[PARAM_LUKS_KEY_SIZE];

	if (!cipher || strstr(cipher, "-xts-") || strcmp(bits, "512") != 0)
		return 0;
	return err_set(e, ERR_INVALID_ARGUMENT,
		       "luks-cipher '%s' takes no key of %s bits (only an xts mode does): set "
		       "luks-key-size to 256",
		       cipher, bits);
}

/* Values of the S3 backend that say two things at once, or half of one. */
static int check_s3(const struct params *params, struct err *e)
{
	static const enum param halves[][2] = {
		{ PARAM_S3_ACCESS_KEY_SECRET_NAME, PARAM_S3_ACCESS_KEY_SECRET_NAMESPACE },
		{ PARAM_S3_SECRET_NAME, PARAM_S3_SECRET_NAMESPACE },
	};

	for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
		bool name = params->value[halves[i][0]], space = params->value[halves[i][1]];

		if (name != space)
			return err_set(e, ERR_INVALID_ARGUMENT,
				       "StorageClass parameter '%s' needs '%s' beside it",
				       param_rules[halves[i][name ? 0 : 1]].key,
				       param_rules[halves[i][name ? 1 : 0]].key);
	}
	if (params->value[PARAM_S3_ACCESS_KEY_SECRET_NAME] && params->value[PARAM_S3_SECRET_NAME])
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "StorageClass parameters '%s' and '%s' both name the Secret with "
			       "the S3 keys: give one",
			       param_rules[PARAM_S3_ACCESS_KEY_SECRET_NAME].key,
			       param_rules[PARAM_S3_SECRET_NAME].key);
	if (params_flag(params, PARAM_S3_SHARED_PREFIX) && !params->value[PARAM_S3_PATH_PREFIX])
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "StorageClass parameter '%s' = 'true' needs '%s': without it every "
			       "volume has a prefix of its own",
			       param_rules[PARAM_S3_SHARED_PREFIX].key,
			       param_rules[PARAM_S3_PATH_PREFIX].key);
	return 0;
}

static int finish(struct params *params, struct err *e)
{
	if (!params->value[PARAM_STORAGE_BACKEND])
		params_set(params, PARAM_STORAGE_BACKEND,
			   param_rules[PARAM_STORAGE_BACKEND].initial);

	enum backend backend = params_backend(params);
	if (is_pbkdf2(params) && !params->value[PARAM_LUKS_PBKDF_ITERATIONS])
		params_set(params, PARAM_LUKS_PBKDF_ITERATIONS, "600000");
	for (int i = 0; i < PARAM_COUNT; i++) {
		const struct param_rule *rule = &param_rules[i];
		bool ours = rule->backends & 1u << backend;

		if (params->value[i] && !ours && i != PARAM_FS_TYPE)
			return err_set(e, ERR_INVALID_ARGUMENT,
				       "StorageClass parameter '%s' does not apply to "
				       "storage-backend '%s'",
				       rule->key, params->value[PARAM_STORAGE_BACKEND]);
		if (!params->value[i] && ours && rule->initial)
			params_set(params, (enum param)i, rule->initial);
	}
	if (backend == BACKEND_S3 && check_s3(params, e) < 0)
		return -1;
	if (params->value[PARAM_LOCAL_PATH])
		trim_slashes(params->value[PARAM_LOCAL_PATH]);
	return check_iterations(params, e) < 0 ? -1 : check_key(params, e);
}

int params_parse(const struct text_pair pairs[], size_t count, struct params *ret_params,
		 struct err *e)
{
	auto_params struct params params = { 0 };

	for (size_t i = 0; i < count; i++)
		if (take_pair(&params, &pairs[i], e) < 0)
			return -1;
	if (finish(&params, e) < 0)
		return -1;
	*ret_params = params;
	memset(&params, 0, sizeof(params));
	return 0;
}

void params_done(struct params *params)
{
	for (int i = 0; i < PARAM_COUNT; i++)
		free(params->value[i]);
	memset(params, 0, sizeof(*params));
}

void params_copy(const struct params *from, struct params *ret_params)
{
	for (int i = 0; i < PARAM_COUNT; i++)
		ret_params->value[i] = xstrdup(from->value[i]);
}

bool params_same(const struct params *a, const struct params *b, enum param which)
{
	const char *x = a->value[which], *y = b->value[which];

	return x && y ? strcmp(x, y) == 0 : x == y;
}

const char *params_difference(const struct params *a, const struct params *b)
{
	for (int i = 0; i < PARAM_COUNT; i++)
		if (!params_same(a, b, (enum param)i))
			return param_rules[i].key;
	return NULL;
}

void params_set(struct params *params, enum param which, const char *text)
{
	char *copy = xstrdup(text);

	free(params->value[which]);
	params->value[which] = copy;
}

enum backend params_backend(const struct params *params)
{
	const char *text = params->value[PARAM_STORAGE_BACKEND];

	return text && strcmp(text, "s3") == 0 ? BACKEND_S3 : BACKEND_LOCAL;
}

enum fs_type params_fs_type(const struct params *params)
{
	enum fs_type type = FS_EXT4;

	if (params->value[PARAM_FS_TYPE])
		fs_type_parse(params->value[PARAM_FS_TYPE], &type);
	return type;
}

bool params_thin(const struct params *params)
{
	const char *text = params->value[PARAM_ALLOCATION];

	return text && strcmp(text, "thin") == 0;
}

bool params_flag(const struct params *params, enum param which)
{
	const char *text = params->value[which];

	return text && strcmp(text, "true") == 0;
}

static unsigned number_of(const struct params *params, enum param which)
{
	return (unsigned)strtoul(params->value[which], NULL, 10);
}

void params_luks(const struct params *params, struct luks_params *ret_luks)
{
	uint64_t memory = 0;

	memset(ret_luks, 0, sizeof(*ret_luks));
	strncpy(ret_luks->cipher, params->value[PARAM_LUKS_CIPHER], sizeof(ret_luks->cipher) - 1);
	strncpy(ret_luks->pbkdf, params->value[PARAM_LUKS_PBKDF], sizeof(ret_luks->pbkdf) - 1);
	parse_size(params->value[PARAM_LUKS_PBKDF_MEMORY], &memory);
	ret_luks->memory_kib = (unsigned)(memory / 1024);
	ret_luks->key_bits = number_of(params, PARAM_LUKS_KEY_SIZE);
	ret_luks->sector_size = number_of(params, PARAM_LUKS_SECTOR_SIZE);
	ret_luks->iterations = number_of(params, PARAM_LUKS_PBKDF_ITERATIONS);
	ret_luks->parallel = number_of(params, PARAM_LUKS_PBKDF_PARALLEL);
}

bool params_fs_group(const struct params *params, uint32_t *ret_gid)
{
	if (!params->value[PARAM_FS_GROUP])
		return false;
	*ret_gid = number_of(params, PARAM_FS_GROUP);
	return true;
}

bool params_fs_mode(const struct params *params, unsigned *ret_mode)
{
	return params->value[PARAM_FS_MODE] && parse_mode(params->value[PARAM_FS_MODE], ret_mode);
}
