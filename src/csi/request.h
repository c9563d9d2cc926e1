/* Requests into the house's own structures: protobuf stays in csi/. */
#ifndef CSI_REQUEST_H
#define CSI_REQUEST_H

#include "base/err.h"
#include "csi/place.h"
#include "gen/csi.pb-c.h"
#include "volume/capability.h"
#include "volume/params.h"

/* protobuf-c gives every map<string,string> entry the same shape. */
struct map_entry {
	ProtobufCMessage base;
	char *key;
	char *value;
};

/*
 * A map of a request as pairs, owned by the caller (free()); texts are borrowed. Of a key that
 * is there twice the last wins, as protobuf says. INVALID_ARGUMENT above 128 entries.
 */
int request_pairs(void *const entries[], size_t count, struct text_pair **ret_pairs,
		  size_t *ret_count, struct err *e) MUST_CHECK;

/* The value of a key in a map, or NULL. Borrowed. */
const char *request_map_value(void *const entries[], size_t count, const char *key);

/*
 * A capability of a request, checked for this backend. INVALID_ARGUMENT when it is absent, or says
 * neither block nor mount, or asks for what is not supported.
 */
int request_capability(const Csi__V1__VolumeCapability *message, enum backend backend,
		       struct capability *ret_capability, struct err *e) MUST_CHECK;

/*
 * The same for staging and publishing, where CSI calls it FAILED_PRECONDITION when a volume of one
 * node is asked for in a mode of several nodes.
 */
int request_capability_of_node(const Csi__V1__VolumeCapability *message, enum backend backend,
			       struct capability *ret_capability, struct err *e) MUST_CHECK;

/* The node that a topology names, or NULL. Borrowed. */
const char *request_node(const Csi__V1__Topology *topology);

/*
 * The nodes that a requirement (may be NULL) allows, the preferred ones first. The caller frees
 * ret_nodes->names; the names themselves are the request's.
 */
void request_nodes(const Csi__V1__TopologyRequirement *requirement, struct place_nodes *ret_nodes);

#endif
