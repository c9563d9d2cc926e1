/* The condition of a volume. */
#include "engine/condition.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/parse.h"
#include "engine/s3.h"

void condition_look(const struct node *node, const struct volume_record *record,
		    struct condition *ret_condition)
{
	if (params_backend(&record->params) == BACKEND_S3)
		s3_condition(node, record, ret_condition);
	else
		local_condition(node, record, ret_condition);
}

void condition_say(struct condition *condition, bool abnormal, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(condition->message, sizeof(condition->message), fmt, args);
	va_end(args);
	text_make_clean(condition->message);
	condition->abnormal = abnormal;
}
