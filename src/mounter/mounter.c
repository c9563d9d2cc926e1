/* The mounter's loop: its socket, its volumes, its end. */
#include "mounter/mounter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/reactor.h"
#include "mounter/confine.h"
#include "mounter/volumes.h"
#include "s3/mounter_client.h"

enum { BACKLOG = 64, FIRST_WAIT_MS = 30 * 1000, CLIENTS_MAX = 256 };

struct mounter_loop {
	const struct mounter_options *options;
	struct reactor *reactor;
	struct volumes *volumes;
	char *socket_path;
	int run_fd, lock_fd, listen_fd, signal_fd, rclone_fd;
	struct reactor_watch *listen_watch, *signal_watch;
	bool ends_when_idle;
};

/* One connection, until its question has been read. */
struct client {
	struct mounter_loop *loop;
	int fd;
	struct reactor_watch *watch;
};

/* Nobody may connect any more when the loop stops: whoever does so now starts another mounter. */
static void end_if_idle(void *data)
{
	struct mounter_loop *loop = data;

	if (!loop->ends_when_idle || !volumes_are_none(loop->volumes))
		return;
	shutdown(loop->listen_fd, SHUT_RDWR); /* its name is in a folder of root's */
	reactor_stop(loop->reactor);
}

static void on_question(void *data, uint32_t events)
{
	struct client *client = data;
	struct mounter_loop *loop = client->loop;
	auto_packet struct packet question = PACKET_NONE;
	int fd = client->fd;

	(void)events;
	int rc = packet_receive(fd, &question);
	reactor_unwatch(client->watch);
	free(client);
	if (rc < 0)
		close(fd);
	else
		volumes_answer(loop->volumes, &question, fd);
}

static void on_connect(void *data, uint32_t events)
{
	struct mounter_loop *loop = data;
	struct err e;

	(void)events;
	int fd = accept4(loop->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct client *client = xcalloc(1, sizeof(*client));
	client->loop = loop;
	client->fd = fd;
	client->watch = reactor_watch(loop->reactor, fd, EPOLLIN, on_question, client, &e);
	if (client->watch)
		return;
	close(fd);
	free(client);
}

static void on_signal(void *data, uint32_t events)
{
	struct mounter_loop *loop = data;
	struct signalfd_siginfo info;

	(void)events;
	if (read(loop->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	loop->ends_when_idle = true;
	if (!volumes_are_none(loop->volumes))
		log_warn("volumes are mounted: the mounter ends when the last one is unstaged");
	end_if_idle(loop);
}

static int open_folder(struct mounter_loop *loop, struct err *e)
{
	const char *run_dir = loop->options->run_dir;
	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc = root < 0 ? -errno : fd_mkdirs_beneath(root, run_dir + 1, 0700);

	loop->run_fd = rc < 0 ? -1 : open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return loop->run_fd < 0
		       ? err_sys(e, rc < 0 ? -rc : errno, "cannot open the folder '%s'", run_dir)
		       : 0;
}

static int listen_at(struct mounter_loop *loop, struct err *e)
{
	const char *given = loop->options->socket_path;
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	loop->socket_path = given ? xstrdup(given) : mounter_default_socket(loop->options->run_dir);
	if (strlen(loop->socket_path) >= sizeof(address.sun_path))
		return err_set(e, ERR_FAILED_PRECONDITION, "'%s' is too long for a socket",
			       loop->socket_path);
	memcpy(address.sun_path, loop->socket_path, strlen(loop->socket_path));
	unlink(loop->socket_path); /* we have the lock: nobody listens there */
	loop->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t before = umask(0077);
	int rc = loop->listen_fd < 0
			 ? -1
			 : bind(loop->listen_fd, (struct sockaddr *)&address, sizeof(address));
	umask(before);
	if (rc < 0 || listen(loop->listen_fd, BACKLOG) < 0)
		return err_sys(e, errno, "cannot listen on '%s'", loop->socket_path);
	loop->listen_watch =
		reactor_watch(loop->reactor, loop->listen_fd, EPOLLIN, on_connect, loop, e);
	return loop->listen_watch ? 0 : -1;
}

static int watch_signals(struct mounter_loop *loop, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	loop->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (loop->signal_fd < 0)
		return err_sys(e, errno, "cannot watch for signals");
	loop->signal_watch =
		reactor_watch(loop->reactor, loop->signal_fd, EPOLLIN, on_signal, loop, e);
	return loop->signal_watch ? 0 : -1;
}

static int become_nobody(struct mounter_loop *loop, struct err *e)
{
	auto_free char *folder = mounter_folder(loop->options->run_dir);

	return confine(loop->run_fd, folder, strrchr(folder, '/') + 1, e);
}

static void loop_done(struct mounter_loop *loop)
{
	reactor_unwatch(loop->listen_watch);
	reactor_unwatch(loop->signal_watch);
	volumes_free(loop->volumes);
	reactor_free(loop->reactor);
	cleanup_close(&loop->listen_fd);
	cleanup_close(&loop->signal_fd);
	cleanup_close(&loop->lock_fd);
	cleanup_close(&loop->run_fd);
	cleanup_close(&loop->rclone_fd);
	free(loop->socket_path);
}

int mounter_run(const struct mounter_options *options, struct err *e)
{
	__attribute__((cleanup(loop_done))) struct mounter_loop loop = {
		.options = options,
		.ends_when_idle = options->exit_when_idle,
		.run_fd = -1,
		.lock_fd = -1,
		.listen_fd = -1,
		.signal_fd = -1,
		.rclone_fd = -1,
	};

	if (open_folder(&loop, e) < 0)
		return -1;
	loop.lock_fd = lock_try(loop.run_fd, "mounter.lock");
	if (loop.lock_fd == -EWOULDBLOCK) {
		log_info("another mounter serves this folder", KV("folder", options->run_dir));
		return 0;
	}
	if (loop.lock_fd < 0)
		return err_sys(e, -loop.lock_fd, "cannot lock the folder '%s'", options->run_dir);
	loop.reactor = reactor_new(e);
	if (!loop.reactor)
		return -1;
	loop.rclone_fd = open(options->rclone, O_PATH | O_CLOEXEC);
	loop.volumes =
		volumes_new(loop.reactor, options->rclone, loop.rclone_fd, end_if_idle, &loop);
	/* What is mounted was mounted by others, so what comes after needs no right at all. */
	if (listen_at(&loop, e) < 0 || watch_signals(&loop, e) < 0 || become_nobody(&loop, e) < 0)
		return -1;
	/* Whoever started us for a volume comes soon. */
	if (options->exit_when_idle)
		reactor_after(loop.reactor, FIRST_WAIT_MS, end_if_idle, &loop);
	log_info("mounter is listening", KV("endpoint", loop.socket_path));
	return reactor_run(loop.reactor, e);
}
