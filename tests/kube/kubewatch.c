/*
 * kubewatch KUBECONFIG RESOURCE SECONDS [QUERY [EVENT]]: a watch in the event loop. Prints a line
 * for each event: "begin", "listed", "present NAME VERSION", "deleted NAME VERSION". Until SIGTERM.
 * The watch is freed inside the first EVENT, a beginning of a line.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/watch.h"

static struct kube_watch *watch;
static const char *freed_in;

static void say(const char *text)
{
	puts(text);
	fflush(stdout);
	if (freed_in && strncmp(text, freed_in, strlen(freed_in)) == 0)
		kube_watch_free(TAKE(watch, NULL));
}

static void on_begin(void *data)
{
	(void)data;
	say("begin");
}

static void on_listed(void *data)
{
	(void)data;
	say("listed");
}

static void on_object(void *data, enum kube_change change, const json_t *object)
{
	json_t *metadata = json_object_get(object, "metadata");

	(void)data;
	auto_free char *line =
		xasprintf("%s %s %s", change == KUBE_DELETED ? "deleted" : "present",
			  json_string_value(json_object_get(metadata, "name")),
			  json_string_value(json_object_get(metadata, "resourceVersion")));
	say(line);
}

static void on_signal(void *data, uint32_t events)
{
	(void)events;
	reactor_stop(data);
}

int main(int argc, char *argv[])
{
	struct kube_watch_events events = { .list_begins = on_begin,
					    .object = on_object,
					    .listed = on_listed };
	auto_kube_config struct kube_config config = { 0 };
	struct err e = { 0 };
	sigset_t set;

	if (argc < 4 || kube_config_from_file(argv[1], &config, &e) < 0)
		return 2;
	struct kube_watch_settings settings = {
		.resource = argv[2],
		.first_wait_ms = 50,
		.request_s = strtol(argv[3], NULL, 10),
		.query = argc > 4 && *argv[4] ? argv[4] : NULL,
	};
	freed_in = argc > 5 ? argv[5] : NULL;
	log_setup(LOG_TEXT, LOG_DEBUG);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	struct reactor *reactor = reactor_new(&e);
	if (reactor)
		watch = kube_watch_new(reactor, &config, &settings, &events, &e);
	if (!watch || !reactor_watch(reactor, signalfd(-1, &set, SFD_CLOEXEC), EPOLLIN, on_signal,
				     reactor, &e))
		return 1;
	int rc = reactor_run(reactor, &e);
	kube_watch_free(watch);
	reactor_free(reactor);
	return rc < 0;
}
