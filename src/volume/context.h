/*
 * A volume context: what a PersistentVolume carries of its volume. Nobody can edit it any more, so
 * what the Go driver left in one is understood for ever. Pure.
 */
#ifndef VOLUME_CONTEXT_H
#define VOLUME_CONTEXT_H

#include "volume/params.h"

/*
 * params_parse() of the context of the volume `id`. Keys that only the Go driver wrote are passed
 * over, and a local-path that names the volume's own folder, as its first versions had it, is
 * taken for the folder above. The pairs are changed; their texts are borrowed.
 */
int context_parse(struct text_pair pairs[], size_t count, const char *id, struct params *ret_params,
		  struct err *e) MUST_CHECK;

/* The parameters that say how a volume is used, and not what it is. */
enum { CONTEXT_OF_USE_COUNT = 3 };
extern const enum param context_of_use[CONTEXT_OF_USE_COUNT];

#endif
