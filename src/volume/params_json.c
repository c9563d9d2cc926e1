/* Parameters as an object of texts. */
#include "volume/params_json.h"

json_t *params_to_json(const struct params *params)
{
	json_t *object = json_object();

	for (int i = 0; i < PARAM_COUNT; i++)
		if (params->value[i])
			json_object_set_new(object, param_rules[i].key,
					    json_string(params->value[i]));
	return object;
}

int params_from_json(const json_t *object, struct params *ret_params, struct err *e)
{
	struct text_pair pairs[PARAM_COUNT];
	size_t count = 0;
	const char *key;
	json_t *value;

	if (!json_is_object(object) || json_object_size(object) > PARAM_COUNT)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "field 'parameters' is missing or not valid");
	json_object_foreach((json_t *)object, key, value)
	{
		if (!json_is_string(value))
			return err_set(e, ERR_INVALID_ARGUMENT, "parameter '%s' is not text", key);
		pairs[count++] = (struct text_pair){ key, json_string_value(value) };
	}
	return params_parse(pairs, count, ret_params, e);
}
