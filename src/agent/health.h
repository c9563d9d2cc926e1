/* The health of a volume, told to the people who use it: Events when it turns. */
#ifndef AGENT_HEALTH_H
#define AGENT_HEALTH_H

#include "base/json.h"
#include "csi/service.h"

/*
 * `object` is the LUKSVolume as it was, `patch` what was written to it. A turn of the condition
 * Healthy becomes an Event at the PersistentVolume, one at the claim that has it, and one at the
 * LUKSVolume. That it cannot be told is logged, and no error.
 */
void health_tell(const struct csi_service *service, const json_t *object, const json_t *patch);

/*
 * The LUKSVolume of a local volume of this node is one of another node: Events tell the people
 * that there are data on both. None when the LUKSVolume is gone, or of this node, by now.
 */
void health_tell_second(const struct csi_service *service, const struct volume_record *record);

#endif
