/* JSON through jansson, bounded. The one place that names the library's header. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

/*
 * Parses one JSON object; duplicate keys and trailing bytes are refused. FAILED_PRECONDITION
 * says where the text is wrong; `shown` names it. Release with json_decref() or auto_json.
 */
json_t *json_parse_object(const char *text, const char *shown, struct err *e);

/* The text, indented, ending in a newline; owned by the caller. Never NULL. */
char *json_text(const json_t *value);

static inline void cleanup_json(json_t **value)
{
	json_decref(*value);
}
#define auto_json CLEANUP(cleanup_json)

#endif
