/* Pieces of replies that several handlers share. */
#ifndef CSI_REPLY_H
#define CSI_REPLY_H

#include "csi/service.h"
#include "gen/csi.pb-c.h"
#include "volume/record.h"

/* A csi.v1.Volume with everything that it points to; keep it where it is until it is packed. */
struct volume_message {
	Csi__V1__Volume volume;
	Csi__V1__Volume__VolumeContextEntry context[PARAM_COUNT + 1];
	Csi__V1__Volume__VolumeContextEntry *context_list[PARAM_COUNT + 1];
	Csi__V1__Topology topology, *topology_list[1];
	Csi__V1__Topology__SegmentsEntry segment, *segment_list[1];
};

/* Fills the message from a record, whose texts are borrowed. */
void volume_message_fill(struct volume_message *message, const struct volume_record *record);

struct condition_message {
	Csi__V1__VolumeCondition message;
	struct condition condition;
};

/* Looks at the volume's condition and fills the message. */
void condition_message_fill(struct condition_message *message, const struct csi_service *service,
			    const struct volume_record *record);

#endif
