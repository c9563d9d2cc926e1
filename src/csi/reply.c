/* Pieces of replies. */
#include "csi/reply.h"

#include "csi/place.h"

static void add_context(struct volume_message *m, const char *key, char *value)
{
	Csi__V1__Volume__VolumeContextEntry *entry = &m->context[m->volume.n_volume_context];

	csi__v1__volume__volume_context_entry__init(entry);
	entry->key = (char *)key;
	entry->value = value;
	m->context_list[m->volume.n_volume_context++] = entry;
}

void volume_message_fill(struct volume_message *m, const struct volume_record *record)
{
	csi__v1__volume__init(&m->volume);
	m->volume.capacity_bytes = (int64_t)record->capacity_bytes;
	m->volume.volume_id = (char *)record->id;
	m->volume.volume_context = m->context_list;
	for (int i = 0; i < PARAM_COUNT; i++)
		if (record->params.value[i])
			add_context(m, param_rules[i].key, record->params.value[i]);
	if (params_backend(&record->params) == BACKEND_S3)
		return; /* every node can have it */
	/* So that a stage on another node can name the one that holds the data. */
	add_context(m, TOPOLOGY_KEY, (char *)record->node);

	csi__v1__topology__segments_entry__init(&m->segment);
	m->segment.key = (char *)TOPOLOGY_KEY;
	m->segment.value = (char *)record->node;
	m->segment_list[0] = &m->segment;
	csi__v1__topology__init(&m->topology);
	m->topology.n_segments = 1;
	m->topology.segments = m->segment_list;
	m->topology_list[0] = &m->topology;
	m->volume.n_accessible_topology = 1;
	m->volume.accessible_topology = m->topology_list;
}

void condition_message_fill(struct condition_message *m, const struct csi_service *service,
			    const struct volume_record *record)
{
	service->place->condition(service, record, &m->condition);
	csi__v1__volume_condition__init(&m->message);
	m->message.abnormal = m->condition.abnormal;
	m->message.message = m->condition.message;
}
