/* The condition of a volume, whichever engine it belongs to. */
#ifndef ENGINE_CONDITION_H
#define ENGINE_CONDITION_H

#include "engine/local.h"

/* Never fails: what is wrong is the answer. */
void condition_look(const struct node *node, const struct volume_record *record,
		    struct condition *ret_condition);

/* Sets it; a sentence that is too long is cut, and is clean text (text_make_clean()). */
void condition_say(struct condition *condition, bool abnormal, const char *fmt, ...) PRINTF(3, 4);

#endif
