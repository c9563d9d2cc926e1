/* libyaml's events into JSON values. */
#include "kube/yaml.h"

#include <stdbool.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_MAX = 32 };

struct reader {
	yaml_parser_t parser;
	const char *shown;
	struct err *e;
};

static int next_event(struct reader *r, yaml_event_t *ret_event)
{
	if (yaml_parser_parse(&r->parser, ret_event))
		return 0;
	return err_set(r->e, ERR_FAILED_PRECONDITION, "'%s' is not valid YAML (line %zu: %s)",
		       r->shown, r->parser.problem_mark.line + 1,
		       r->parser.problem ? r->parser.problem : "out of memory");
}

static json_t *scalar(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;

	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
			return json_boolean(*text == 't');
		if (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)
			return json_null();
	}
	return json_stringn(text, event->data.scalar.length);
}

static json_t *value_of(struct reader *r, const yaml_event_t *first, int depth);

static json_t *sequence(struct reader *r, int depth)
{
	auto_json json_t *array = json_array();
	yaml_event_t event;

	while (next_event(r, &event) == 0) {
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			return TAKE(array, NULL);
		}
		json_t *item = value_of(r, &event, depth);
		yaml_event_delete(&event);
		if (!item)
			return NULL;
		json_array_append_new(array, item);
	}
	return NULL;
}

static int entry(struct reader *r, json_t *object, const yaml_event_t *key, int depth)
{
	yaml_event_t event;

	if (key->type != YAML_SCALAR_EVENT)
		return err_set(r->e, ERR_FAILED_PRECONDITION, "'%s' (line %zu): a key is not text",
			       r->shown, key->start_mark.line + 1);
	const char *name = (const char *)key->data.scalar.value;
	if (json_object_get(object, name))
		return err_set(r->e, ERR_FAILED_PRECONDITION,
			       "'%s' (line %zu): a key is there twice", r->shown,
			       key->start_mark.line + 1);
	if (next_event(r, &event) < 0)
		return -1;
	json_t *value = value_of(r, &event, depth);
	yaml_event_delete(&event);
	if (value && json_object_set_new(object, name, value) < 0)
		return err_set(r->e, ERR_FAILED_PRECONDITION, "'%s' (line %zu): not UTF-8",
			       r->shown, key->start_mark.line + 1);
	return value ? 0 : -1;
}

static json_t *mapping(struct reader *r, int depth)
{
	auto_json json_t *object = json_object();
	yaml_event_t key;

	while (next_event(r, &key) == 0) {
		if (key.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&key);
			return TAKE(object, NULL);
		}
		int rc = entry(r, object, &key, depth);
		yaml_event_delete(&key);
		if (rc < 0)
			return NULL;
	}
	return NULL;
}

static json_t *value_of(struct reader *r, const yaml_event_t *first, int depth)
{
	json_t *value = NULL;

	if (depth == DEPTH_MAX) {
		err_set(r->e, ERR_FAILED_PRECONDITION, "'%s' is nested too deeply", r->shown);
		return NULL;
	}
	switch (first->type) {
	case YAML_SCALAR_EVENT:
		value = scalar(first);
		if (!value)
			err_set(r->e, ERR_FAILED_PRECONDITION, "'%s' (line %zu): not UTF-8",
				r->shown, first->start_mark.line + 1);
		return value;
	case YAML_SEQUENCE_START_EVENT:
		return sequence(r, depth + 1);
	case YAML_MAPPING_START_EVENT:
		return mapping(r, depth + 1);
	default:
		err_set(r->e, ERR_FAILED_PRECONDITION,
			"'%s' (line %zu): aliases are not understood here", r->shown,
			first->start_mark.line + 1);
		return NULL;
	}
}

/* Skips the beginnings of stream and document. */
static json_t *document(struct reader *r)
{
	yaml_event_t event;

	while (next_event(r, &event) == 0) {
		if (event.type == YAML_STREAM_START_EVENT ||
		    event.type == YAML_DOCUMENT_START_EVENT) {
			yaml_event_delete(&event);
			continue;
		}
		bool is_mapping = event.type == YAML_MAPPING_START_EVENT;
		yaml_event_delete(&event);
		if (is_mapping)
			return mapping(r, 0);
		err_set(r->e, ERR_FAILED_PRECONDITION, "'%s' does not hold a mapping", r->shown);
		return NULL;
	}
	return NULL;
}

json_t *yaml_parse_object(const char *text, const char *shown, struct err *e)
{
	struct reader r = { .shown = shown, .e = e };

	if (!yaml_parser_initialize(&r.parser)) {
		err_set(e, ERR_INTERNAL, "cannot read '%s': out of memory", shown);
		return NULL;
	}
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, strlen(text));
	json_t *value = document(&r);
	yaml_parser_delete(&r.parser);
	return value;
}
