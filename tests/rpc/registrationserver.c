/*
 * registrationserver KUBELET-DIR LOOK-MS SILENCE-MS: the registration alone, with times that a
 * test can wait for. Prints "listening" and serves until SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "kubelet/registration.h"

static void on_signal(void *data, uint32_t events)
{
	(void)events;
	reactor_stop(data);
}

int main(int argc, char *argv[])
{
	struct err e = { 0 };
	sigset_t set;

	if (argc != 4)
		return 2;
	struct registration_settings settings = {
		.driver = "lukscryptwalker.csi.k8s.io",
		.kubelet_dir = argv[1],
		.endpoint = "/csi/csi.sock",
		.look_ms = strtol(argv[2], NULL, 10),
		.silence_ms = strtol(argv[3], NULL, 10),
	};
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	struct reactor *reactor = reactor_new(&e);
	if (!reactor)
		return 1;
	if (!reactor_watch(reactor, signalfd(-1, &set, SFD_CLOEXEC), EPOLLIN, on_signal, reactor,
			   &e))
		return 1;
	struct registration *registration = registration_new(reactor, &settings);
	puts("listening");
	fflush(stdout);
	int rc = reactor_run(reactor, &e);
	registration_free(registration);
	reactor_free(reactor);
	return rc < 0;
}
