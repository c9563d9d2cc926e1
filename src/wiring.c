/* Builds the parts of a role and runs them. */
#include "wiring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/silence.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/reactor.h"
#include "csi/place.h"
#include "mounter/mounter.h"
#include "kubelet/registration.h"
#include "ops/http.h"
#include "ops/metrics.h"
#include "ops/survey.h"
#include "rpc/server.h"
#include "store/store_kube.h"

/*
 * Kubernetes gives 30 s before it kills. Workers that are still busy then go on without us; in a
 * pod they end with it, and the next call goes on with what they left.
 */
enum { GRACE_MS = 25000 };

struct program {
	const struct config *config;
	struct csi_service service;
	struct reactor *reactor;
	struct rpc_server *server;
	struct metrics *metrics;
	struct survey *survey;
	struct http_server *http;
	struct registration *registration;
	struct agent *agent;
	struct silence *silence;
	struct reactor_watch *signals;
	int signal_fd;
	char mounter_socket[PATH_MAX];
};

static int open_folder(const char *path, mode_t mode, int *ret_fd, struct err *e)
{
	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc = root < 0 ? -errno : 0;

	if (rc == 0 && path[1])
		rc = mkdir(path, mode) < 0 && errno != EEXIST
			     ? fd_mkdirs_beneath(root, path + 1, mode)
			     : 0;
	int fd = rc < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, rc < 0 ? -rc : errno, "cannot open the folder '%s'", path);
	*ret_fd = fd;
	return 0;
}

static int open_kubelet_dir(struct program *p, struct err *e)
{
	const struct config *config = p->config;
	bool shared = false;
	int fd;

	if (config->role == ROLE_CONTROLLER)
		return 0;
	if (config->role == ROLE_ALL) {
		/* Outside Kubernetes there is no kubelet that would have made it. */
		if (open_folder(config->kubelet_dir, 0755, &fd, e) < 0)
			return -1;
		close(fd);
	}
	if (kubelet_dir_open(config->kubelet_dir, &p->service.node.kubelet, &shared, e) < 0)
		return -1;
	if (shared)
		return 0;
	if (config->role == ROLE_NODE)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "kubelet's folder '%s' is not a shared mount: mounts made here "
			       "would not be "
			       "seen by the host (in the pod: mountPropagation: Bidirectional; on "
			       "the host: "
			       "mount --make-rshared /)",
			       config->kubelet_dir);
	log_warn("kubelet's folder is not a shared mount: other mount namespaces will not see "
		 "volumes",
		 KV("folder", config->kubelet_dir));
	return 0;
}

/* Inside a cluster only the controller works on the cluster's objects; a node has its own records,
 * and its agent tells of them. */
static int open_store(struct program *p, struct err *e)
{
	struct kube_config config = { 0 };

	p->service.place = &place_here;
	if (p->config->store == STORE_KUBE) {
		if (kube_config_load(getenv("KUBECONFIG"), &config, e) < 0)
			return -1;
		p->service.kube = kube_client_new(&config);
	}
	if (p->service.kube && p->config->role == ROLE_CONTROLLER) {
		p->service.place = &place_cluster;
		p->service.store = store_kube_new(p->service.kube);
		return 0;
	}
	p->service.store = store_dir_open(p->config->state_dir, e);
	return p->service.store ? 0 : -1;
}

static int build_service(struct program *p, struct err *e)
{
	const struct config *config = p->config;
	struct node *node = &p->service.node;

	node->id = config->node_id;
	node->host_root = config->host_root;
	node->run_dir = config->run_dir;
	node->state_dir = config->state_dir;
	node->rclone = config->rclone;
	node->mounter_socket = config->mounter_socket;
	if (!node->mounter_socket && config->role != ROLE_ALL) {
		/* Only role all starts a mounter of its own; elsewhere it is another pod. */
		snprintf(p->mounter_socket, sizeof(p->mounter_socket), "%s/mounter.sock",
			 config->run_dir);
		node->mounter_socket = p->mounter_socket;
	}
	node->allow_paths = config->allow_paths;
	node->allow_count = config->allow_count;
	if (open_folder(config->run_dir, 0700, &node->run_fd, e) < 0 || open_kubelet_dir(p, e) < 0)
		return -1;
	return open_store(p, e);
}

static bool role_serves(enum role role, const char *path)
{
	bool controller = strstr(path, ".Controller/"), node = strstr(path, ".Node/");

	return role == ROLE_ALL || (role == ROLE_CONTROLLER && !node) ||
	       (role == ROLE_NODE && !controller);
}

static int build_server(struct program *p, struct rpc_method methods[CSI_METHODS_MAX],
			struct err *e)
{
	size_t count = csi_methods(&p->service, methods), kept = 0;
	struct rpc_observer observer;

	for (size_t i = 0; i < count; i++)
		if (role_serves(p->config->role, methods[i].path))
			methods[kept++] = methods[i];
	p->server = rpc_server_new(p->reactor, methods, kept, NULL);
	rpc_server_keep_in_workers(p->server, p->service.node.run_fd);
	if (store_fd(p->service.store) >= 0)
		rpc_server_keep_in_workers(p->server, store_fd(p->service.store));
	if (p->config->role != ROLE_CONTROLLER)
		rpc_server_keep_in_workers(p->server, p->service.node.kubelet.fd);
	p->metrics = metrics_new();
	metrics_observer(p->metrics, &observer);
	rpc_server_observe(p->server, &observer);
	return rpc_server_listen(p->server, p->config->socket_path, e);
}

static void finished(void *data)
{
	struct program *p = data;

	reactor_stop(p->reactor);
}

static void on_signal(void *data, uint32_t events)
{
	struct program *p = data;
	struct signalfd_siginfo info;

	(void)events;
	if (read(p->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	log_info("stopping: running calls are answered, mounts stay",
		 KV("signal", (unsigned)info.ssi_signo));
	reactor_unwatch(p->signals);
	p->signals = NULL;
	registration_free(TAKE(p->registration, NULL));
	rpc_server_shutdown(p->server, GRACE_MS, finished, p);
}

static int watch_signals(struct program *p, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signal_fd < 0)
		return err_sys(e, errno, "cannot watch for signals");
	p->signals = reactor_watch(p->reactor, p->signal_fd, EPOLLIN, on_signal, p, e);
	return p->signals ? 0 : -1;
}

static char *all_metrics(void *data)
{
	struct program *p = data;
	auto_free char *calls = metrics_text(p->metrics);
	auto_free char *volumes = p->survey ? survey_text(p->survey) : xstrdup("");

	return xasprintf("%s%s", calls, volumes);
}

static int build_http(struct program *p, struct err *e)
{
	if (!p->config->http_port)
		return 0;
	/* The nodes tell of their volumes; the controller of a cluster has none. */
	if (p->service.place == &place_here)
		p->survey = survey_new(p->server, &p->service.node, p->service.store);
	p->http = http_server_new(p->reactor, p->config->http_host, p->config->http_port,
				  all_metrics, p, e);
	return p->http ? 0 : -1;
}

/* After the CSI socket is there: kubelet calls at once. */
static void register_with_kubelet(struct program *p)
{
	const struct config *config = p->config;
	struct registration_settings settings = {
		.driver = DRIVER_NAME,
		.kubelet_dir = config->kubelet_dir,
		.endpoint =
			config->kubelet_endpoint ? config->kubelet_endpoint : config->socket_path,
	};

	if (config->registration == REGISTRATION_ON ||
	    (config->registration == REGISTRATION_AUTO && config->role == ROLE_NODE))
		p->registration = registration_new(p->reactor, &settings);
}

static int start_agent(struct program *p, struct err *e)
{
	if (p->service.kube && p->config->role == ROLE_CONTROLLER)
		p->silence = silence_new(p->reactor, p->server, &p->service);
	if (!p->service.kube || p->config->role != ROLE_NODE)
		return 0;
	p->agent = agent_new(p->reactor, p->server, &p->service, e);
	return p->agent ? 0 : -1;
}

static void program_done(struct program *p)
{
	registration_free(p->registration);
	http_server_free(p->http);
	rpc_server_free(p->server);
	agent_free(p->agent);
	silence_free(p->silence);
	metrics_free(p->metrics);
	survey_free(p->survey);
	reactor_unwatch(p->signals);
	reactor_free(p->reactor);
	store_close(p->service.store);
	kube_client_free(p->service.kube);
	cleanup_close(&p->signal_fd);
	cleanup_close(&p->service.node.run_fd);
	cleanup_close(&p->service.node.kubelet.fd);
}

static int check_supported(const struct config *config, struct err *e)
{
	if (config->store == STORE_KUBE && config->role == ROLE_ALL)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the role all keeps its own records: use --store=dir, or the roles "
			       "controller and node in a cluster");
	return 0;
}

static int run_mounter(const struct config *config, struct err *e)
{
	const struct mounter_options options = {
		.run_dir = config->run_dir,
		.socket_path = config->mounter_socket,
		.rclone = config->rclone,
		.exit_when_idle = config->exit_when_idle,
	};

	if (!config->rclone)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "rclone is not installed: set --rclone=PATH");
	return mounter_run(&options, e);
}

int wiring_run(const struct config *config, struct err *e)
{
	struct rpc_method methods[CSI_METHODS_MAX];
	__attribute__((cleanup(program_done))) struct program p = {
		.config = config,
		.signal_fd = -1,
		.service = { .node = { .run_fd = -1, .kubelet = { .fd = -1 } } },
	};

	if (config->role == ROLE_MOUNTER)
		return run_mounter(config, e);
	if (check_supported(config, e) < 0 || build_service(&p, e) < 0)
		return -1;
	p.reactor = reactor_new(e);
	if (!p.reactor || watch_signals(&p, e) < 0 || build_server(&p, methods, e) < 0 ||
	    build_http(&p, e) < 0 || start_agent(&p, e) < 0)
		return -1;
	register_with_kubelet(&p);
	auto_free char *http = p.http ? http_server_address(p.http) : xstrdup("off");
	log_always("listening", KV("driver", DRIVER_NAME), KV("version", PROGRAM_VERSION),
		   KV("endpoint", config->socket_path), KV("node", config->node_id),
		   KV("http", http));
	return reactor_run(p.reactor, e);
}
