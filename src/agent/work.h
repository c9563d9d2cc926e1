/* The agent's work, in a worker: it may block. What it does is repeatable at each step. */
#ifndef AGENT_WORK_H
#define AGENT_WORK_H

#include "csi/service.h"

/*
 * Does what the LUKSVolume of this volume waits for: makes the volume, lets it grow, or destroys
 * its data and lets the object go; and reports the outcome. Success when nothing waits any more;
 * a failure has been reported as far as the API server could be reached.
 */
int work_on_volume(const struct csi_service *service, const char *id, struct err *e) MUST_CHECK;

/*
 * Reports every volume of this node, and the node itself. A LUKSVolume that is missing (etcd was
 * restored, or the volume was adopted) is made again from what is on the disk; one whose data are
 * missing is reported, and never made anew. `is_thorough`: also that it does not have volumes
 * in S3 that the cluster believes to be here, and, to people, what lies on another node, too: from
 * time to time, because it costs more. *ret_text, owned by the caller, is a line with what went
 * wrong (empty: nothing), and the ids of the volumes that wait for work_on_volume(), one in a line.
 * -1 when the store or the API server did not tell what there is.
 */
int work_on_reports(const struct csi_service *service, bool is_thorough, char **ret_text,
		    struct err *e) MUST_CHECK;

#endif
