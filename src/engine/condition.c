/* The condition of a volume. */
#include "engine/condition.h"

#include "engine/s3.h"

void condition_look(const struct node *node, const struct volume_record *record,
		    struct condition *ret_condition)
{
	if (params_backend(&record->params) == BACKEND_S3)
		s3_condition(node, record, ret_condition);
	else
		local_condition(node, record, ret_condition);
}
