/* One rclone: its process, its log, its word that it is ready. */
#include "mounter/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "mounter/child_log.h"
#include "s3/mounter_client.h"
#include "s3/rclone_environment.h"

enum { WORDS_MAX = 96 };

struct child {
	struct child_observer observer;
	char *id;
	char folder[MOUNTER_NAME_SIZE], *rc_socket;
	pid_t pid;
	bool told_ready;
	int pid_fd, notify_fd;
	struct reactor_watch *exit_watch, *notify_watch;
	struct child_log *log;
};

/* Mode 0700, and without the sockets of an earlier rclone. */
static int make_folder(struct child *child, char **ret_notify, struct err *e)
{
	mounter_name(child->id, child->folder);
	child->rc_socket = xasprintf("%s/rc.sock", child->folder);
	*ret_notify = xasprintf("%s/notify.sock", child->folder);
	if (mkdir(child->folder, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make the folder '%s' of volume '%s'",
			       child->folder, child->id);
	unlink(child->rc_socket);
	unlink(*ret_notify);
	return 0;
}

/*
 * Held by rclone itself until it has ended: the rclone of a mounter that was killed dies a moment
 * after it, and two of them on one cache would destroy it.
 */
static int take_lock(const struct child *child, int *ret_fd, struct err *e)
{
	auto_close int folder = open(child->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = folder < 0 ? -errno : lock_try(folder, "rclone.lock");

	if (fd == -EWOULDBLOCK)
		return err_set(e, ERR_ABORTED,
			       "the rclone of volume '%s' that an earlier mounter had is still "
			       "ending",
			       child->id);
	if (fd < 0)
		return err_sys(e, -fd, "cannot lock the folder '%s'", child->folder);
	*ret_fd = fd;
	return 0;
}

static int open_notify(struct child *child, const char *path, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	_Static_assert(MOUNTER_NAME_SIZE + sizeof("/notify.sock") <= sizeof(address.sun_path),
		       "a name in it is too long for a socket");
	memcpy(address.sun_path, path, strlen(path));
	child->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (child->notify_fd < 0 ||
	    bind(child->notify_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(e, errno, "cannot listen on '%s'", path);
	return 0;
}

static void on_notify(void *data, uint32_t events)
{
	struct child *child = data;
	char text[512];

	(void)events;
	ssize_t got = recv(child->notify_fd, text, sizeof(text) - 1, 0);
	if (got <= 0)
		return;
	text[got] = '\0';
	/* STATUS=... comes before, and says nothing. */
	if (!strstr(text, "READY=1") || child->told_ready)
		return;
	child->told_ready = true;
	child->observer.ready(child->observer.data);
}

static void on_exit_of(void *data, uint32_t events)
{
	struct child *child = data;
	siginfo_t info = { 0 };

	(void)events;
	if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	reactor_unwatch(TAKE(child->exit_watch, NULL));
	child_log_finish(child->log);
	unlink(child->rc_socket);
	child->observer.ended(child->observer.data,
			      info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status);
}

/* In the child the descriptors are 3 and 4; 5 is the lock, 6 the cache. */
static void fill_argv(const struct child *child, const struct child_plan *plan, char *rc_address,
		      const char *argv[WORDS_MAX])
{
	const char *const frame[] = {
		plan->rclone,
		"mount2",
		"c:",
		"/dev/fd/3",
		"--allow-non-empty",
		"--config=/dev/fd/4",
		"--rc",
		rc_address,
		"--use-json-log",
		"--log-level=NOTICE",
		"--ask-password=false",
	};
	size_t count = 0;

	(void)child;
	for (size_t i = 0; i < ARRAY_LEN(frame); i++)
		argv[count++] = frame[i];
	if (plan->cache_fd >= 0)
		argv[count++] = "--cache-dir=/dev/fd/6";
	for (size_t i = 0; plan->flags[i] && count < WORDS_MAX - 1; i++)
		argv[count++] = plan->flags[i];
	argv[count] = NULL;
}

static int spawn_rclone(struct child *child, const struct child_plan *plan, const char *notify,
			int log_fd, int lock_fd, struct err *e)
{
	auto_free char *rc_address = xasprintf("--rc-addr=unix://%s", child->rc_socket);
	char *environment[RCLONE_ENVIRONMENT_MAX];
	const char *argv[WORDS_MAX];

	fill_argv(child, plan, rc_address, argv);
	rclone_environment_fill(environment, notify, plan->memory_limit);
	const struct spawn spawn = {
		.argv = argv,
		.environment = (const char *const *)environment,
		.fds = { plan->fuse_fd, plan->config_fd, lock_fd, plan->cache_fd },
		.fd_count = plan->cache_fd >= 0 ? 4 : 3,
		.program_fd = plan->rclone_fd,
		.errors_fd = log_fd,
	};
	int rc = spawn_program(&spawn, &child->pid, &child->pid_fd, e);
	rclone_environment_free(environment);
	return rc;
}

static int start(struct child *child, struct reactor *reactor, const struct child_plan *plan,
		 struct err *e)
{
	auto_free char *notify = NULL;
	auto_close int log_read = -1, log_write = -1, lock = -1;
	int ends[2];

	if (make_folder(child, &notify, e) < 0 || take_lock(child, &lock, e) < 0 ||
	    open_notify(child, notify, e) < 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, errno, "cannot make a pipe for the log of rclone");
	log_read = ends[0];
	log_write = ends[1];
	child->log = child_log_new(reactor, TAKE(log_read, -1), child->id, e);
	child->notify_watch =
		reactor_watch(reactor, child->notify_fd, EPOLLIN, on_notify, child, e);
	if (!child->log || !child->notify_watch ||
	    spawn_rclone(child, plan, notify, log_write, lock, e) < 0)
		return -1;
	child->exit_watch = reactor_watch(reactor, child->pid_fd, EPOLLIN, on_exit_of, child, e);
	if (child->exit_watch)
		return 0;
	kill(child->pid, SIGKILL);
	return -1;
}

struct child *child_start(struct reactor *reactor, const struct child_plan *plan, struct err *e)
{
	struct child *child = xcalloc(1, sizeof(*child));

	child->observer = plan->observer;
	child->id = xstrdup(plan->id);
	child->pid_fd = child->notify_fd = -1;
	if (start(child, reactor, plan, e) < 0) {
		child_free(child);
		return NULL;
	}
	return child;
}

void child_kill(struct child *child)
{
	kill(child->pid, SIGKILL);
}

const char *child_error(const struct child *child)
{
	return child_log_error(child->log);
}

void child_free(struct child *child)
{
	if (!child)
		return;
	reactor_unwatch(child->exit_watch);
	reactor_unwatch(child->notify_watch);
	cleanup_close(&child->pid_fd);
	cleanup_close(&child->notify_fd);
	child_log_free(child->log);
	free(child->id);
	free(child->rc_socket);
	free(child);
}
