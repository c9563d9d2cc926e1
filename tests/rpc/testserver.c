/*
 * A gRPC server whose calls do what their volume id says: the server half of tests/rpc.
 *
 *	rpc-testserver --socket=PATH [--workers=N --connections=N --streams=N --request-bytes=N
 *		--total-bytes=N --worker-ms=N --idle-ms=N --handshake-ms=N --grace-ms=N]
 *
 * Inline: Identity/Probe and Identity/GetPluginInfo (its manifest shows the observer).
 * Workers: Controller/ValidateVolumeCapabilities (answers in `message`), Node/NodeStageVolume.
 */
#include "act.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/reactor.h"
#include "base/secret.h"
#include "gen/csi.pb-c.h"
#include "rpc/job.h"
#include "rpc/server.h"

static struct {
	unsigned finished, workers;
	char last[128];
	int kept_fd;
} seen;

/* The same in a job. */
static int run_job(void *data, char **ret_text, struct err *e)
{
	*ret_text = act_do(NULL, data, e);
	return *ret_text ? 0 : -1;
}

static void job_done(void *data, const char *text, const struct err *e)
{
	auto_free char *shown = xasprintf("%zu %.2000s", text ? strlen(text) : 0, text ? text : "");

	log_info("job", KV("of", (const char *)data), KV("text", shown),
		 KV("code", err_code_name(e->code)), KV("error", e->msg));
}

static int validate(struct rpc_call *call, struct err *e)
{
	const Csi__V1__ValidateVolumeCapabilitiesRequest *request = (const void *)call->request;
	Csi__V1__ValidateVolumeCapabilitiesResponse reply =
		CSI__V1__VALIDATE_VOLUME_CAPABILITIES_RESPONSE__INIT;
	auto_free char *text = act_do(call, request->volume_id, e);

	if (strcmp(request->volume_id, "noreply") == 0)
		return 0;
	if (!text)
		return -1;
	reply.message = text;
	return rpc_call_reply(call, &reply.base, e);
}

static int stage(struct rpc_call *call, struct err *e)
{
	const Csi__V1__NodeStageVolumeRequest *request = (const void *)call->request;
	Csi__V1__NodeStageVolumeResponse reply = CSI__V1__NODE_STAGE_VOLUME_RESPONSE__INIT;
	auto_free char *text = act_do(call, request->volume_id, e);

	if (!text)
		return -1;
	return rpc_call_reply(call, &reply.base, e);
}

static int probe(struct rpc_call *call, struct err *e)
{
	Google__Protobuf__BoolValue yes = GOOGLE__PROTOBUF__BOOL_VALUE__INIT;
	Csi__V1__ProbeResponse reply = CSI__V1__PROBE_RESPONSE__INIT;

	yes.value = true;
	reply.ready = &yes;
	return rpc_call_reply(call, &reply.base, e);
}

static int plugin_info(struct rpc_call *call, struct err *e)
{
	Csi__V1__GetPluginInfoResponse reply = CSI__V1__GET_PLUGIN_INFO_RESPONSE__INIT;
	char finished[16], workers[16];
	Csi__V1__GetPluginInfoResponse__ManifestEntry entries[] = {
		CSI__V1__GET_PLUGIN_INFO_RESPONSE__MANIFEST_ENTRY__INIT,
		CSI__V1__GET_PLUGIN_INFO_RESPONSE__MANIFEST_ENTRY__INIT,
		CSI__V1__GET_PLUGIN_INFO_RESPONSE__MANIFEST_ENTRY__INIT,
	};
	Csi__V1__GetPluginInfoResponse__ManifestEntry *manifest[] = { &entries[0], &entries[1],
								      &entries[2] };

	snprintf(finished, sizeof(finished), "%u", seen.finished);
	snprintf(workers, sizeof(workers), "%u", seen.workers);
	entries[0].key = (char *)"finished";
	entries[0].value = finished;
	entries[1].key = (char *)"workers";
	entries[1].value = workers;
	entries[2].key = (char *)"last";
	entries[2].value = seen.last;
	reply.n_manifest = ARRAY_LEN(manifest);
	reply.manifest = manifest;
	reply.name = call->service;
	return rpc_call_reply(call, &reply.base, e);
}

static char service_name[] = "rpc.test";

static const struct rpc_method methods[] = {
	{ "/csi.v1.Identity/Probe", &csi__v1__probe_request__descriptor, probe },
	{ "/csi.v1.Identity/GetPluginInfo", &csi__v1__get_plugin_info_request__descriptor,
	  plugin_info, service_name },
	{ "/csi.v1.Controller/ValidateVolumeCapabilities",
	  &csi__v1__validate_volume_capabilities_request__descriptor, validate, NULL, true },
	{ "/csi.v1.Node/NodeStageVolume", &csi__v1__node_stage_volume_request__descriptor, stage,
	  NULL, true },
};

static void on_finished(void *data, const char *method, enum err_code code, int64_t ms)
{
	(void)data;
	(void)ms;
	seen.finished++;
	snprintf(seen.last, sizeof(seen.last), "%s %s", method, err_code_name(code));
}

static void on_workers(void *data, unsigned running)
{
	(void)data;
	seen.workers = running;
}

struct program {
	struct reactor *reactor;
	struct rpc_server *server;
	int signal_fd;
	int64_t grace_ms;
	char *job; /* of the command line; started once, or NULL */
};

static void on_done(void *data)
{
	struct program *program = data;

	rpc_server_free(program->server);
	reactor_stop(program->reactor);
}

static void on_signal(void *data, uint32_t events)
{
	struct program *program = data;
	struct signalfd_siginfo info;

	(void)events;
	if (read(program->signal_fd, &info, sizeof(info)) == sizeof(info))
		rpc_server_shutdown(program->server, program->grace_ms, on_done, program);
}

enum flag {
	SOCKET = 1,
	WORKERS,
	CONNECTIONS,
	STREAMS,
	REQUEST,
	TOTAL,
	WORKER_MS,
	IDLE,
	HANDSHAKE,
	GRACE,
	JOB
};

static const struct option options[] = {
	{ "socket", 1, NULL, SOCKET },
	{ "workers", 1, NULL, WORKERS },
	{ "connections", 1, NULL, CONNECTIONS },
	{ "streams", 1, NULL, STREAMS },
	{ "request-bytes", 1, NULL, REQUEST },
	{ "total-bytes", 1, NULL, TOTAL },
	{ "worker-ms", 1, NULL, WORKER_MS },
	{ "idle-ms", 1, NULL, IDLE },
	{ "handshake-ms", 1, NULL, HANDSHAKE },
	{ "grace-ms", 1, NULL, GRACE },
	{ "job", 1, NULL, JOB },
	{ NULL, 0, NULL, 0 },
};

static const char *parse(int argc, char **argv, struct rpc_limits *limits, struct program *program)
{
	const char *path = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		long number = optarg ? atol(optarg) : 0;

		switch (option) {
		case SOCKET:
			path = optarg;
			break;
		case WORKERS:
			limits->workers = (unsigned)number;
			break;
		case CONNECTIONS:
			limits->connections = (unsigned)number;
			break;
		case STREAMS:
			limits->streams = (unsigned)number;
			break;
		case REQUEST:
			limits->request_bytes = (size_t)number;
			break;
		case TOTAL:
			limits->total_request_bytes = (size_t)number;
			break;
		case WORKER_MS:
			limits->worker_ms = number;
			break;
		case IDLE:
			limits->idle_progress_ms = number;
			break;
		case HANDSHAKE:
			limits->handshake_ms = number;
			break;
		case GRACE:
			program->grace_ms = number;
			break;
		case JOB:
			program->job = optarg;
			break;
		default:
			exit(2);
		}
	}
	if (!path) {
		fprintf(stderr, "--socket is missing\n");
		exit(2);
	}
	return path;
}

int main(int argc, char **argv)
{
	const struct rpc_observer observer = { on_finished, on_workers, NULL };
	struct rpc_limits limits = { 0 };
	struct program program = { .grace_ms = 5000 };
	struct err e = { 0 };
	sigset_t set;
	const char *path = parse(argc, argv, &limits, &program);

	log_setup(LOG_JSON, LOG_DEBUG);
	secret_protect_process();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	program.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	program.reactor = reactor_new(&e);
	if (!program.reactor ||
	    !reactor_watch(program.reactor, program.signal_fd, EPOLLIN, on_signal, &program, &e))
		goto failed;
	program.server = rpc_server_new(program.reactor, methods, ARRAY_LEN(methods), &limits);
	rpc_server_observe(program.server, &observer);
	seen.kept_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	rpc_server_keep_in_workers(program.server, seen.kept_fd);
	if (rpc_server_listen(program.server, path, &e) < 0)
		goto failed;
	const struct rpc_job job = { "job", run_job, job_done, program.job };
	if (program.job && rpc_server_start_job(program.server, &job, &e) < 0)
		goto failed;
	printf("listening\n");
	fflush(stdout);
	if (reactor_run(program.reactor, &e) < 0)
		goto failed;
	close(program.signal_fd);
	close(seen.kept_fd);
	reactor_free(program.reactor);
	return 0;
failed:
	fprintf(stderr, "rpc-testserver: %s: %s\n", err_code_name(e.code), e.msg);
	return 1;
}
