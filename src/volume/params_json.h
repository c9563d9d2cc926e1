/* Parameters as an object of texts, as records and LUKSVolumes hold them. Pure. */
#ifndef VOLUME_PARAMS_JSON_H
#define VOLUME_PARAMS_JSON_H

#include "base/json.h"
#include "volume/params.h"

/* Never NULL; release with json_decref(). */
json_t *params_to_json(const struct params *params);

/* INVALID_ARGUMENT when it is not such an object, or as params_parse() says. */
int params_from_json(const json_t *object, struct params *ret_params, struct err *e) MUST_CHECK;

#endif
