/*
 * The driver's services on a node where nothing can be reached: real handlers, a real store and
 * lock folder in a private place, and a host root (/proc) where no volume can be made. It holds
 * one record, "vol-1". The process gives up every capability, so that no input can touch a mount
 * or a mapping of the machine.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include "csi/service.h"
#include "input.h"

struct world {
	struct csi_service service;
	struct rpc_method methods[CSI_METHODS_MAX]; /* all answered in the loop */
	size_t count;
};

/* Made once; later calls give the same one, with "vol-1" as it was at first. */
struct world *world_get(void);

#endif
