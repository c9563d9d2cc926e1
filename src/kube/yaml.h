/* A YAML text as JSON, for kubeconfig files. The one place that knows libyaml. */
#ifndef KUBE_YAML_H
#define KUBE_YAML_H

#include "base/err.h"
#include "base/json.h"

/*
 * The first document of `text`, which must be a mapping: mappings, sequences and text. Plain
 * `true` and `false` are booleans, plain `null`, `~` and nothing are null, every other scalar is
 * text. FAILED_PRECONDITION where it is not YAML, says a key twice, is nested deeper than 32
 * levels or uses aliases; `shown` names the text. Release with json_decref() or auto_json.
 */
json_t *yaml_parse_object(const char *text, const char *shown, struct err *e);

#endif
