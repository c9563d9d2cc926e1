/* A worker, from fork to _exit. */
#include "rpc/worker_child.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/priority.h"
#include "base/secret.h"
#include "rpc/worker_pipe.h"

/*
 * Nothing of the loop's signals stays, but SIGPIPE is ignored: a worker outlives the process
 * that reads its answer and its log. Its own session keeps the terminal's Ctrl-C away. The loop
 * goes first: it answers Probe, and must while 32 workers derive keys on one processor.
 */
static void leave_the_parent(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	priority_lower();
}

/* Visible in ps and /proc/PID/stack when it hangs; the kernel cuts it at 15 characters. */
static void name_process(const char *method)
{
	char name[16] = "";

	strncpy(name, method, sizeof(name) - 1);
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

static void run(struct stream *stream, int pipe_fd)
{
	char subject[CALL_SUBJECT_SIZE];
	struct call_reply reply = { 0 };
	struct err e = { 0 };
	struct rpc_call *call = call_open(stream->method, stream->deadline_ms,
					  stream->connection->server->limits.reply_bytes,
					  stream->body.bytes, stream->body.size, &e);

	if (!call) {
		worker_pipe_error(pipe_fd, &e);
		return;
	}
	call_subject(call, subject);
	worker_pipe_subject(pipe_fd, subject);
	int rc = call_handle(call, &reply, &e);
	call_close(call);
	worker_pipe_steps(pipe_fd);
	if (rc < 0)
		worker_pipe_error(pipe_fd, &e);
	else
		worker_pipe_reply(pipe_fd, &reply);
}

void worker_child_run(struct stream *stream, int pipe_fd)
{
	leave_the_parent();
	name_process(call_short_name(stream->method->path));
	/* Its own request is still needed; those of others are wiped. */
	struct frame mine = stream->body;
	stream->body = (struct frame){ .prefix_used = 0 };
	server_forget_in_worker(stream->connection->server, pipe_fd);
	stream->body = mine;
	secret_protect_process(); /* what it may not do was said when the process started */
	run(stream, pipe_fd);
	_exit(0);
}

void worker_child_job(struct rpc_server *server, const struct rpc_job *job, int pipe_fd)
{
	auto_free char *text = NULL;
	struct err e = { 0 };

	leave_the_parent();
	name_process(job->name);
	server_forget_in_worker(server, pipe_fd);
	secret_protect_process();
	if (job->run(job->data, &text, &e) < 0)
		worker_pipe_error(pipe_fd, &e);
	else
		worker_pipe_text(pipe_fd, text);
	_exit(0);
}
