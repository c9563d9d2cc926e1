/* The loop's side of workers: start them, wait for what they say, bury them. */
#include "rpc/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rpc/frame.h"
#include "rpc/worker_child.h"
#include "rpc/worker_pipe.h"

struct worker {
	struct rpc_server *server;
	struct worker *prev, *next;
	struct stream *stream; /* NULL: nobody waits any more */
	const char *client;    /* what the client got instead, "" while it waits */
	const char *path;      /* of the method; of a job its name */
	struct rpc_job job;    /* done NULL: a call */
	int64_t started_ms;
	int pid_fd, pipe_fd;
	struct reactor_watch *pid_watch, *pipe_watch;
	struct reactor_timer *limit;
	struct worker_pipe pipe;
	bool waits_to_be_read; /* for the turn of its large reply */
	bool is_finished;      /* its outcome is known; the process may still be there */
};

/*
 * Large replies are read one after the other, or 32 workers that answer at once would need 32
 * times the limit of a reply. The others stand blocked in their write until it is their turn.
 */
static void take_turn(struct worker *worker)
{
	struct worker **turn = &worker->server->large_reply;

	if (!*turn)
		*turn = worker;
	worker->pipe.may_be_large = *turn == worker;
	worker->waits_to_be_read = !worker->pipe.may_be_large;
	reactor_watch_events(worker->pipe_watch, worker->waits_to_be_read ? 0 : EPOLLIN);
}

static void stop_reading(struct worker *worker)
{
	struct rpc_server *server = worker->server;

	reactor_unwatch(TAKE(worker->pipe_watch, NULL));
	worker->waits_to_be_read = false;
	if (server->large_reply != worker)
		return;
	server->large_reply = NULL;
	for (struct worker *next = server->workers; next; next = next->next) {
		if (next->waits_to_be_read) {
			take_turn(next);
			return;
		}
	}
}

static void worker_free(struct worker *worker)
{
	struct rpc_server *server = worker->server;

	stop_reading(worker);
	if (worker->prev)
		worker->prev->next = worker->next;
	else
		server->workers = worker->next;
	if (worker->next)
		worker->next->prev = worker->prev;
	server->worker_count--;
	reactor_unwatch(worker->pid_watch);
	reactor_cancel(worker->limit);
	if (worker->pid_fd >= 0)
		close(worker->pid_fd);
	close(worker->pipe_fd);
	worker_pipe_free(&worker->pipe);
	free(worker);
}

static void finish_job(struct worker *worker, const struct err *e)
{
	const struct call_reply *reply = &worker->pipe.reply;
	auto_free char *text = NULL;

	if (e->code == ERR_OK)
		text = xasprintf("%.*s", (int)reply->size,
				 (const char *)reply->buffer + FRAME_PREFIX);
	worker->job.done(worker->job.data, text, e);
}

static void finish_call(struct worker *worker, const struct err *e)
{
	struct stream *stream = TAKE(worker->stream, NULL);
	const struct call_record record = {
		.path = worker->path,
		.is_known = true,
		.subject = worker->pipe.subject,
		.client = worker->client,
		.started_ms = worker->started_ms,
	};

	server_call_finished(worker->server, &record, e);
	if (worker->pipe.has_steps)
		server_steps_taken(worker->server, &worker->pipe.steps);
	if (!stream)
		return;
	stream->worker = NULL;
	if (e->code == ERR_OK)
		stream_reply(stream, TAKE(worker->pipe.reply, ((struct call_reply){ 0 })));
	else
		stream_fail(stream, e);
	connection_flush(stream->connection);
}

/* The outcome, once: to the log, and to whom it may still concern. */
static void finish(struct worker *worker, const struct err *e)
{
	if (worker->is_finished)
		return;
	worker->is_finished = true;
	if (worker->job.done)
		finish_job(worker, e);
	else
		finish_call(worker, e);
}

static void on_pipe(void *data, uint32_t events)
{
	struct worker *worker = data;
	struct err e = { 0 };

	(void)events;
	switch (worker_pipe_read(&worker->pipe, worker->pipe_fd)) {
	case WORKER_PIPE_OPEN:
		return;
	case WORKER_PIPE_LARGE: /* in its turn the loop calls again */
		take_turn(worker);
		return;
	case WORKER_PIPE_DONE:
		e = worker->pipe.e;
		break;
	case WORKER_PIPE_CLOSED: /* how it died is told by on_exit */
		stop_reading(worker);
		return;
	case WORKER_PIPE_BROKEN:
		err_set(&e, ERR_INTERNAL, "worker of %s gave an answer that makes no sense",
			call_short_name(worker->path));
		break;
	}
	stop_reading(worker);
	finish(worker, &e);
}

static void describe_death(const struct worker *worker, const siginfo_t *info, struct err *e)
{
	const char *name = call_short_name(worker->path);

	if (info->si_code == CLD_EXITED)
		err_set(e, ERR_INTERNAL, "worker of %s exited with code %d without an answer", name,
			info->si_status);
	else
		err_set(e, ERR_INTERNAL, "worker of %s died of signal %d (%s)", name,
			info->si_status, strsignal(info->si_status));
}

static void on_exit_of_worker(void *data, uint32_t events)
{
	struct worker *worker = data;
	struct rpc_server *server = worker->server;
	siginfo_t info = { 0 };
	struct err e = { 0 };

	(void)events;
	if (waitid(P_PIDFD, (id_t)worker->pid_fd, &info, WEXITED | WNOHANG) < 0) {
		if (errno == EINTR)
			return;
		/* Somebody else has waited for it: its end is known, its reason is not. */
		info.si_code = CLD_EXITED;
		info.si_status = -1;
	} else if (info.si_pid == 0) {
		return;
	}
	/* It may have answered just before. */
	if (worker->pipe_watch)
		on_pipe(worker, 0);
	if (!worker->is_finished) {
		describe_death(worker, &info, &e);
		finish(worker, &e);
	}
	worker_free(worker);
	server_workers_changed(server);
	server_check_shutdown(server);
}

/* A process in D state outlives even this; its slot stays taken until it is gone. */
static void on_limit(void *data)
{
	struct worker *worker = data;
	struct rpc_server *server = worker->server;
	struct err e = { 0 };

	worker->limit = NULL;
	syscall(SYS_pidfd_send_signal, worker->pid_fd, SIGKILL, NULL, 0);
	stop_reading(worker);
	err_set(&e, ERR_INTERNAL, "worker of %s was killed: it ran for more than %lld seconds",
		call_short_name(worker->path), (long long)(server->limits.worker_ms / 1000));
	finish(worker, &e);
	server_check_shutdown(server);
}

/* What a new process is for: a call, or a job. */
struct work {
	struct rpc_server *server;
	struct stream *stream;
	const struct rpc_job *job;
};

static struct worker *worker_new(const struct work *work, int pid_fd, int pipe_fd)
{
	struct rpc_server *server = work->server;
	struct stream *stream = work->stream;
	struct worker *worker = xcalloc(1, sizeof(*worker));

	*worker = (struct worker){
		.server = server,
		.next = server->workers,
		.stream = stream,
		.client = "",
		.path = stream ? stream->method->path : work->job->name,
		.started_ms = stream ? stream->started_ms : clock_ms(),
		.pid_fd = pid_fd,
		.pipe_fd = pipe_fd,
		.pipe = { .reply_limit = server->limits.reply_bytes },
	};
	if (work->job)
		worker->job = *work->job;
	if (worker->next)
		worker->next->prev = worker;
	server->workers = worker;
	server->worker_count++;
	return worker;
}

static int watch(struct worker *worker, struct err *e)
{
	struct reactor *reactor = worker->server->reactor;

	worker->pipe_watch = reactor_watch(reactor, worker->pipe_fd, EPOLLIN, on_pipe, worker, e);
	worker->pid_watch =
		reactor_watch(reactor, worker->pid_fd, EPOLLIN, on_exit_of_worker, worker, e);
	if (!worker->pipe_watch || !worker->pid_watch)
		return -1;
	worker->limit = reactor_after(reactor, worker->server->limits.worker_ms, on_limit, worker);
	return 0;
}

/*
 * Forks. The descriptor for the pidfd is reserved before, so that a process that nobody can
 * watch does not come into being when descriptors run out. Returns the pid.
 */
static pid_t start_process(const struct work *work, int *ret_pid_fd, int *ret_pipe_fd,
			   struct err *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, errno, "cannot create a pipe");
	auto_close int read_end = ends[0];
	auto_close int write_end = ends[1];
	auto_close int reserved = fcntl(read_end, F_DUPFD_CLOEXEC, 0);
	if (reserved < 0 || fcntl(read_end, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, errno, "cannot prepare a pipe");
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, errno, "cannot start a process");
	if (pid == 0 && work->stream)
		worker_child_run(work->stream, write_end);
	if (pid == 0)
		worker_child_job(work->server, work->job, write_end);
	close(TAKE(reserved, -1));
	*ret_pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (*ret_pid_fd < 0) {
		int open_errno = errno;

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err_sys(e, open_errno, "cannot watch a process");
	}
	*ret_pipe_fd = TAKE(read_end, -1);
	return pid;
}

/*
 * UNAVAILABLE, whatever it is that cannot be had: it passes. RESOURCE_EXHAUSTED is CSI's word for
 * "this node has no room", after which external-provisioner has the pod placed anew and forgets
 * that an earlier call may still be making the volume.
 */
static struct worker *start(const struct work *work, struct err *e)
{
	struct rpc_server *server = work->server;
	int pid_fd = -1, pipe_fd = -1;

	if (server->worker_count >= server->limits.workers) {
		err_set(e, ERR_UNAVAILABLE, "%u calls are running, the limit is %u; try again",
			server->worker_count, server->limits.workers);
		return NULL;
	}
	pid_t pid = start_process(work, &pid_fd, &pipe_fd, e);
	if (work->stream)
		frame_free(&work->stream->body, &server->budget);
	if (pid < 0) {
		e->code = ERR_UNAVAILABLE;
		return NULL;
	}
	struct worker *worker = worker_new(work, pid_fd, pipe_fd);
	if (watch(worker, e) < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		worker_free(worker);
		e->code = ERR_UNAVAILABLE;
		return NULL;
	}
	server_workers_changed(server);
	return worker;
}

int worker_start(struct stream *stream, struct err *e)
{
	const struct work work = { .server = stream->connection->server, .stream = stream };

	stream->worker = start(&work, e);
	return stream->worker ? 0 : -1;
}

int rpc_server_start_job(struct rpc_server *server, const struct rpc_job *job, struct err *e)
{
	const struct work work = { .server = server, .job = job };

	return start(&work, e) ? 0 : -1;
}

void worker_detach(struct worker *worker, const char *what)
{
	worker->stream = NULL;
	worker->client = what;
}

bool worker_any_unfinished(const struct rpc_server *server)
{
	for (const struct worker *worker = server->workers; worker; worker = worker->next) {
		if (!worker->is_finished && !worker->job.done)
			return true;
	}
	return false;
}

void worker_forget_all(struct rpc_server *server)
{
	while (server->workers)
		worker_free(server->workers);
}
