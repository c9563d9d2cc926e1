/*
 * Kubelet plugin registration, served by the driver itself instead of a sidecar: a socket in
 * kubelet's folder plugins_registry. Kubelet registers what appears there and forgets what
 * vanishes, so the socket is made again whenever somebody removes it or its folder, and when
 * kubelet has been silent for too long after its start or ours.
 */
#ifndef KUBELET_REGISTRATION_H
#define KUBELET_REGISTRATION_H

#include <stdint.h>

#include "base/reactor.h"

struct registration;

/* Texts are borrowed for the life of the registration. A time that is 0 takes its default. */
struct registration_settings {
	const char *driver;	 /* "lukscryptwalker.csi.k8s.io" */
	const char *kubelet_dir; /* as we see it */
	const char *endpoint;	 /* path of the CSI socket, as kubelet sees it */
	int64_t look_ms;	 /* 30 s: looks after the socket even when nothing is told */
	int64_t silence_ms;	 /* 60 s: without GetInfo the socket is made anew */
};

/*
 * Serves from now on. What is wrong with the socket or its folder is logged once and tried again
 * for ever: a node must not lose its mounts' driver because kubelet is not ready. Never NULL.
 */
struct registration *registration_new(struct reactor *reactor,
				      const struct registration_settings *settings);

/* Removes the socket, so that kubelet forgets the driver. NULL is fine. */
void registration_free(struct registration *registration);

#endif
