/* What a node says of one volume to the cluster. */
#ifndef AGENT_REPORT_H
#define AGENT_REPORT_H

#include "base/json.h"
#include "csi/service.h"

/*
 * Writes the status of a LUKSVolume; `object` is what the cluster has now. `record` NULL: there is
 * nothing of it here. `why` NULL: all went well. Nothing is sent when nothing has changed.
 */
int report_volume(const struct csi_service *service, const json_t *object,
		  const struct volume_record *record, const struct err *why,
		  struct err *e) MUST_CHECK;

/* Says of a volume in S3 that it is not on this node; nothing else of its status is touched. */
int report_left(const struct csi_service *service, const json_t *object, struct err *e) MUST_CHECK;

/* Makes the LUKSVolume of a volume that the cluster does not know (any more), and its status. */
int report_lost(const struct csi_service *service, const struct volume_record *record,
		struct err *e) MUST_CHECK;

#endif
