/* The registration socket: its two methods, and how it is kept alive. */
#include "kubelet/registration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gen/pluginregistration.pb-c.h"
#include "base/folder_watch.h"
#include "rpc/server.h"

enum {
	LOOK_MS = 30 * 1000,
	SILENCE_MS = 60 * 1000,
	SETTLE_MS = 100, /* a burst of changes is looked at once */
	METHODS = 2,
};

enum folder { REGISTRY, KUBELET, DEVICE_PLUGINS };

struct registration {
	struct reactor *reactor;
	struct registration_settings settings;
	struct rpc_method methods[METHODS];
	char *registry, *device_plugins, *socket;
	struct folder_watch *folders;
	struct reactor_timer *look, *settle;
	struct rpc_server *server; /* NULL: there is no socket of ours */
	dev_t device;		   /* of the socket */
	ino_t inode;
	int64_t silent_since_ms;		      /* 0: kubelet has asked */
	char trouble[sizeof(((struct err *)0)->msg)]; /* logged last; "" when all is well */
};

static int get_info(struct rpc_call *call, struct err *e)
{
	struct registration *r = call->service;
	char *versions[] = { (char *)"1.0.0" }; /* of CSI: kubelet compares the first number */
	Pluginregistration__PluginInfo reply = PLUGINREGISTRATION__PLUGIN_INFO__INIT;

	r->silent_since_ms = 0;
	reply.type = (char *)"CSIPlugin";
	reply.name = (char *)r->settings.driver;
	reply.endpoint = (char *)r->settings.endpoint;
	reply.n_supported_versions = ARRAY_LEN(versions);
	reply.supported_versions = versions;
	return rpc_call_reply(call, &reply.base, e);
}

/* After a refusal kubelet tries again by itself, ever more slowly. */
static int notify_registration_status(struct rpc_call *call, struct err *e)
{
	const struct registration *r = call->service;
	const Pluginregistration__RegistrationStatus *status = (const void *)call->request;
	Pluginregistration__RegistrationStatusResponse reply =
		PLUGINREGISTRATION__REGISTRATION_STATUS_RESPONSE__INIT;

	if (status->plugin_registered)
		log_info("kubelet has registered the driver", KV("driver", r->settings.driver),
			 KV("endpoint", r->settings.endpoint));
	else
		log_error("kubelet refuses to register the driver", KV("error", status->error),
			  KV("endpoint", r->settings.endpoint));
	return rpc_call_reply(call, &reply.base, e);
}

/* Says a trouble once, not at every look. */
static void say_trouble(struct registration *r, const struct err *e)
{
	if (strcmp(r->trouble, e->msg) == 0)
		return;
	log_warn("cannot offer the driver to kubelet, trying again", KV("error", e->msg));
	memcpy(r->trouble, e->msg, sizeof(r->trouble));
}

static bool is_socket_ours(const struct registration *r)
{
	struct stat found;

	return r->server && lstat(r->socket, &found) == 0 && found.st_dev == r->device &&
	       found.st_ino == r->inode;
}

static int listen_again(struct registration *r, struct err *e)
{
	static const struct rpc_limits limits = {
		.connections = 8,
		.streams = 8,
		.request_bytes = 64 << 10,
		.total_request_bytes = 256 << 10,
	};
	struct stat made;

	rpc_server_free(TAKE(r->server, NULL));
	/* Kubelet makes it just so when it starts. */
	if (mkdir(r->registry, 0750) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make kubelet's folder '%s'", r->registry);
	struct rpc_server *server = rpc_server_new(r->reactor, r->methods, METHODS, &limits);
	if (rpc_server_listen(server, r->socket, e) < 0 || lstat(r->socket, &made) < 0) {
		/* lstat() fails only where somebody removed the socket at once: look again. */
		if (e->code == ERR_OK)
			err_sys(e, errno, "the socket '%s' vanished", r->socket);
		rpc_server_free(server);
		return -1;
	}
	r->server = server;
	r->device = made.st_dev;
	r->inode = made.st_ino;
	r->silent_since_ms = clock_ms();
	return 0;
}

static bool is_silent_for_too_long(const struct registration *r)
{
	return r->silent_since_ms && clock_ms() - r->silent_since_ms >= r->settings.silence_ms;
}

static void watch_folders(struct registration *r)
{
	if (!r->folders)
		return;
	folder_watch_set(r->folders, KUBELET, r->settings.kubelet_dir);
	folder_watch_set(r->folders, REGISTRY, r->registry);
	folder_watch_set(r->folders, DEVICE_PLUGINS, r->device_plugins);
}

static void look(struct registration *r)
{
	struct err e = { 0 };

	if (!is_socket_ours(r) || is_silent_for_too_long(r)) {
		if (listen_again(r, &e) < 0)
			say_trouble(r, &e);
		else
			r->trouble[0] = '\0';
	}
	watch_folders(r);
	/* What happened before the folders were watched. */
	if (e.code == ERR_OK && !is_socket_ours(r) && listen_again(r, &e) < 0)
		say_trouble(r, &e);
}

static void on_look(void *data)
{
	struct registration *r = data;

	look(r);
	r->look = reactor_after(r->reactor, r->settings.look_ms, on_look, r);
}

static void on_settle(void *data)
{
	struct registration *r = data;

	r->settle = NULL;
	look(r);
}

static void on_change(void *data, unsigned which, const char *name)
{
	struct registration *r = data;

	/* Kubelet makes this socket when it starts; it should look into its registry then. */
	if (which == DEVICE_PLUGINS) {
		if (strcmp(name, "kubelet.sock") == 0)
			r->silent_since_ms = clock_ms();
		return;
	}
	if (!r->settle)
		r->settle = reactor_after(r->reactor, SETTLE_MS, on_settle, r);
}

struct registration *registration_new(struct reactor *reactor,
				      const struct registration_settings *settings)
{
	struct registration *r = xcalloc(1, sizeof(*r));
	struct err e = { 0 };

	r->reactor = reactor;
	r->settings = *settings;
	if (!r->settings.look_ms)
		r->settings.look_ms = LOOK_MS;
	if (!r->settings.silence_ms)
		r->settings.silence_ms = SILENCE_MS;
	r->methods[0] = (struct rpc_method){ "/pluginregistration.Registration/GetInfo",
					     &pluginregistration__info_request__descriptor,
					     get_info, r, false };
	r->methods[1] =
		(struct rpc_method){ "/pluginregistration.Registration/NotifyRegistrationStatus",
				     &pluginregistration__registration_status__descriptor,
				     notify_registration_status, r, false };
	r->registry = xasprintf("%s/plugins_registry", settings->kubelet_dir);
	r->device_plugins = xasprintf("%s/device-plugins", settings->kubelet_dir);
	r->socket = xasprintf("%s/%s-reg.sock", r->registry, settings->driver);
	r->folders = folder_watch_new(reactor, on_change, r, &e);
	if (!r->folders)
		log_warn("a registration that is lost is seen late", KV("error", e.msg),
			 KV("ms", r->settings.look_ms));
	on_look(r);
	return r;
}

void registration_free(struct registration *r)
{
	if (!r)
		return;
	reactor_cancel(r->look);
	reactor_cancel(r->settle);
	folder_watch_free(r->folders);
	rpc_server_free(r->server);
	free(r->registry);
	free(r->device_plugins);
	free(r->socket);
	free(r);
}
