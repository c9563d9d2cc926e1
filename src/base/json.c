/* JSON through jansson. */
#include "base/json.h"

#include <stdlib.h>

#include "base/mem.h"

json_t *json_parse_object(const char *text, const char *shown, struct err *e)
{
	json_error_t where;
	json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &where);

	if (!value) {
		err_set(e, ERR_FAILED_PRECONDITION, "'%s' is not valid JSON (line %d: %s)", shown,
			where.line, where.text);
		return NULL;
	}
	if (!json_is_object(value)) {
		err_set(e, ERR_FAILED_PRECONDITION, "'%s' does not hold a JSON object", shown);
		json_decref(value);
		return NULL;
	}
	return value;
}

char *json_text(const json_t *value)
{
	auto_free char *body = json_dumps(value, JSON_INDENT(2));

	if (!body)
		abort();
	return xasprintf("%s\n", body);
}
