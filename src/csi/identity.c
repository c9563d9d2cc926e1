/* Identity: who we are and what we can do. Answered in the event loop. */
#include "csi/service.h"
#include "gen/csi.pb-c.h"
#include "rpc/call.h"

int identity_get_plugin_info(struct rpc_call *call, struct err *e)
{
	Csi__V1__GetPluginInfoResponse reply = CSI__V1__GET_PLUGIN_INFO_RESPONSE__INIT;

	reply.name = (char *)DRIVER_NAME;
	reply.vendor_version = (char *)PROGRAM_VERSION;
	return rpc_call_reply(call, &reply.base, e);
}

int identity_get_plugin_capabilities(struct rpc_call *call, struct err *e)
{
	static const Csi__V1__PluginCapability__Service__Type offered[] = {
		CSI__V1__PLUGIN_CAPABILITY__SERVICE__TYPE__CONTROLLER_SERVICE,
		CSI__V1__PLUGIN_CAPABILITY__SERVICE__TYPE__VOLUME_ACCESSIBILITY_CONSTRAINTS,
	};
	enum { SERVICES = ARRAY_LEN(offered) };
	Csi__V1__PluginCapability__Service service[SERVICES];
	Csi__V1__PluginCapability__VolumeExpansion expansion =
		CSI__V1__PLUGIN_CAPABILITY__VOLUME_EXPANSION__INIT;
	Csi__V1__PluginCapability capability[SERVICES + 1], *list[SERVICES + 1];
	Csi__V1__GetPluginCapabilitiesResponse reply =
		CSI__V1__GET_PLUGIN_CAPABILITIES_RESPONSE__INIT;

	for (size_t i = 0; i <= SERVICES; i++) {
		csi__v1__plugin_capability__init(&capability[i]);
		list[i] = &capability[i];
	}
	for (size_t i = 0; i < SERVICES; i++) {
		csi__v1__plugin_capability__service__init(&service[i]);
		service[i].type = offered[i];
		capability[i].type_case = CSI__V1__PLUGIN_CAPABILITY__TYPE_SERVICE;
		capability[i].service = &service[i];
	}
	expansion.type = CSI__V1__PLUGIN_CAPABILITY__VOLUME_EXPANSION__TYPE__ONLINE;
	capability[SERVICES].type_case = CSI__V1__PLUGIN_CAPABILITY__TYPE_VOLUME_EXPANSION;
	capability[SERVICES].volume_expansion = &expansion;
	reply.n_capabilities = SERVICES + 1;
	reply.capabilities = list;
	return rpc_call_reply(call, &reply.base, e);
}

/* Ready as long as the loop answers: a broken backend is that backend's own matter. */
int identity_probe(struct rpc_call *call, struct err *e)
{
	Google__Protobuf__BoolValue ready = GOOGLE__PROTOBUF__BOOL_VALUE__INIT;
	Csi__V1__ProbeResponse reply = CSI__V1__PROBE_RESPONSE__INIT;

	ready.value = 1;
	reply.ready = &ready;
	return rpc_call_reply(call, &reply.base, e);
}
