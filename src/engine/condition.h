/* The condition of a volume, whichever engine it belongs to. */
#ifndef ENGINE_CONDITION_H
#define ENGINE_CONDITION_H

#include "engine/local.h"

/* Never fails: what is wrong is the answer. */
void condition_look(const struct node *node, const struct volume_record *record,
		    struct condition *ret_condition);

#endif
