/* The loop's side of the agent: what is to be done, and when it is tried again. */
#include "agent/agent.h"

#include <stdlib.h>
#include <string.h>

#include "agent/work.h"
#include "base/clock.h"
#include "base/folder_watch.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/trim.h"
#include "kube/backoff.h"
#include "kube/client.h"
#include "kube/watch.h"
#include "rpc/job.h"
#include "volume/luksvolume.h"

enum {
	TASKS_AT_ONCE = 8, /* of the server's workers: kubelet's calls need some, too */
	FIRST_WAIT_MS = 500,
	LAST_WAIT_MS = 60 * 1000,
	REPORT_MS = 60 * 1000, /* the node is silent when it has said nothing for five minutes */
	THOROUGH_MS = 15 * 60 * 1000,
	SETTLE_MS = 300, /* a burst of changes is reported at once */
};

/* A volume that waits for something. */
struct task {
	struct agent *agent;
	struct task *next;
	char id[VOLUME_ID_MAX + 1];
	int64_t generation; /* that is worked on, or was tried last */
	bool is_going;
	bool is_running, must_repeat;
	struct backoff backoff;
	struct reactor_timer *pause; /* before it is tried again */
};

struct agent {
	struct reactor *reactor;
	struct rpc_server *server;
	const struct csi_service *service;
	struct kube_watch *watch;
	struct folder_watch *records;
	struct task *tasks;
	unsigned running;
	struct reactor_timer *report;
	int64_t report_at_ms;	/* of the timer */
	int64_t thorough_at_ms; /* one of those that costs more */
	bool is_reporting, must_report, is_thorough;
	bool is_in_trouble; /* and that was logged */
};

static void start_tasks(struct agent *agent);
static void report_in(struct agent *agent, int64_t ms);

static void task_free(struct task *task)
{
	for (struct task **at = &task->agent->tasks; *at; at = &(*at)->next) {
		if (*at == task) {
			*at = task->next;
			break;
		}
	}
	reactor_cancel(task->pause);
	free(task);
}

static void on_pause_over(void *data)
{
	struct task *task = data;

	task->pause = NULL;
	start_tasks(task->agent);
}

static void try_again(struct task *task, const struct err *e)
{
	int64_t ms = backoff_next(&task->backoff, FIRST_WAIT_MS, LAST_WAIT_MS, -1);

	if (task->backoff.failures == 1)
		log_warn("cannot do what the cluster wants of a volume, trying again",
			 KV("volume", task->id), KV("error", e->msg));
	task->pause = reactor_after(task->agent->reactor, ms, on_pause_over, task);
}

static int run_task(void *data, char **ret_text, struct err *e)
{
	const struct task *task = data;

	if (work_on_volume(task->agent->service, task->id, e) < 0)
		return -1;
	*ret_text = xstrdup("");
	return 0;
}

static void task_done(void *data, const char *text, const struct err *e)
{
	struct task *task = data;
	struct agent *agent = task->agent;

	agent->running--;
	task->is_running = false;
	if (!text) {
		try_again(task, e);
	} else if (!task->must_repeat) {
		log_info("did what the cluster wanted of a volume", KV("volume", task->id));
		task_free(task);
		/* The room on the disks is another now. */
		report_in(agent, SETTLE_MS);
	}
	start_tasks(agent);
}

static void start_tasks(struct agent *agent)
{
	for (struct task *task = agent->tasks; task; task = task->next) {
		const struct rpc_job job = {
			.name = "agent", .run = run_task, .done = task_done, .data = task
		};
		struct err e = { 0 };

		if (agent->running >= TASKS_AT_ONCE)
			return;
		if (task->is_running || task->pause)
			continue;
		task->must_repeat = false;
		task->is_running = rpc_server_start_job(agent->server, &job, &e) == 0;
		if (task->is_running)
			agent->running++;
		else
			try_again(task, &e);
	}
}

static struct task *task_of(struct agent *agent, const char *id)
{
	struct task *task = agent->tasks;

	while (task && strcmp(task->id, id) != 0)
		task = task->next;
	if (task)
		return task;
	task = xcalloc(1, sizeof(*task));
	task->agent = agent;
	memcpy(task->id, id, strlen(id) + 1);
	task->next = agent->tasks;
	agent->tasks = task;
	return task;
}

/* What our own reports change is no news: a generation is tried once, and then after a pause. */
static void wake(struct agent *agent, const struct luksvolume *volume)
{
	struct task *task = task_of(agent, volume->record.id);

	if (task->generation == volume->generation && task->is_going == volume->is_going)
		return;
	task->generation = volume->generation;
	task->is_going = volume->is_going;
	task->must_repeat = task->is_running;
	task->backoff.failures = 0;
	reactor_cancel(TAKE(task->pause, NULL));
	start_tasks(agent);
}

static void on_object(void *data, enum kube_change change, const json_t *object)
{
	struct agent *agent = data;
	struct luksvolume volume = { 0 };
	struct err e = { 0 };

	if (change != KUBE_PRESENT)
		return;
	if (luksvolume_parse(object, &volume, &e) < 0) {
		log_warn("an object of the cluster is not understood", KV("error", e.msg));
		return;
	}
	if (luksvolume_is_on(&volume, agent->service->node.id) && luksvolume_is_waiting(&volume))
		wake(agent, &volume);
	volume_record_done(&volume.record);
}

static void on_list(void *data)
{
	(void)data; /* nothing is kept that could be out of date */
}

static int run_report(void *data, char **ret_text, struct err *e)
{
	const struct agent *agent = data;

	return work_on_reports(agent->service, agent->is_thorough, ret_text, e);
}

/* The watch has told of them, unless it goes on from a version that etcd, restored, never had. */
static void wake_waiting(struct agent *agent, const char *ids)
{
	char id[VOLUME_ID_MAX + 1];

	for (const char *end; (end = strchr(ids, '\n')); ids = end + 1) {
		if ((size_t)(end - ids) >= sizeof(id))
			continue;
		memcpy(id, ids, (size_t)(end - ids));
		id[end - ids] = '\0';
		task_of(agent, id);
	}
	start_tasks(agent);
}

static void report_done(void *data, const char *text, const struct err *e)
{
	struct agent *agent = data;

	const char *ids = text ? strchr(text, '\n') + 1 : "";
	auto_free char *trouble =
		text ? xasprintf("%.*s", (int)(ids - 1 - text), text) : xstrdup(e->msg);

	agent->is_reporting = false;
	if (*trouble && !agent->is_in_trouble)
		log_warn("cannot report to the cluster, trying again", KV("error", trouble));
	else if (!*trouble && agent->is_in_trouble)
		log_info("reporting to the cluster again");
	agent->is_in_trouble = *trouble;
	if (text && agent->is_thorough)
		agent->thorough_at_ms = clock_ms() + THOROUGH_MS;
	wake_waiting(agent, ids);
	/* After the start most of libcurl and OpenSSL is not needed again. */
	trim_process();
	report_in(agent, agent->must_report ? SETTLE_MS : REPORT_MS);
}

static void on_report(void *data)
{
	struct agent *agent = data;
	const struct rpc_job job = {
		.name = "report", .run = run_report, .done = report_done, .data = agent
	};
	struct err e = { 0 };

	agent->report = NULL;
	agent->must_report = false;
	agent->is_thorough = clock_ms() >= agent->thorough_at_ms;
	agent->is_reporting = rpc_server_start_job(agent->server, &job, &e) == 0;
	if (!agent->is_reporting)
		report_done(agent, NULL, &e);
}

/* At the latest then; not while one runs, but after it. */
static void report_in(struct agent *agent, int64_t ms)
{
	int64_t at = clock_ms() + ms;

	if (agent->is_reporting) {
		agent->must_report = true;
		return;
	}
	if (agent->report && agent->report_at_ms <= at)
		return;
	reactor_cancel(agent->report);
	agent->report = reactor_after(agent->reactor, ms, on_report, agent);
	agent->report_at_ms = at;
}

static void on_record_changed(void *data, unsigned which, const char *name)
{
	(void)which;
	(void)name;
	report_in(data, SETTLE_MS);
}

/* Without inotify changes are told with the next report. */
static void watch_records(struct agent *agent)
{
	auto_free char *path = xasprintf("%s/volumes", agent->service->node.state_dir);
	struct err e = { 0 };

	agent->records = folder_watch_new(agent->reactor, on_record_changed, agent, &e);
	if (agent->records)
		folder_watch_set(agent->records, 0, path);
	else
		log_warn("changes of volumes are reported late", KV("error", e.msg));
}

struct agent *agent_new(struct reactor *reactor, struct rpc_server *server,
			const struct csi_service *service, struct err *e)
{
	struct agent *agent = xcalloc(1, sizeof(*agent));
	auto_free char *selector = xasprintf("spec.nodeName=%s", service->node.id);
	auto_free char *query = kube_query("fieldSelector", selector);
	const struct kube_watch_settings settings = { .resource = LUKSVOLUMES, .query = query };
	const struct kube_watch_events events = {
		.list_begins = on_list, .object = on_object, .listed = on_list, .data = agent
	};

	agent->reactor = reactor;
	agent->server = server;
	agent->service = service;
	agent->watch =
		kube_watch_new(reactor, kube_client_config(service->kube), &settings, &events, e);
	if (!agent->watch) {
		free(agent);
		return NULL;
	}
	watch_records(agent);
	report_in(agent, 0);
	return agent;
}

void agent_free(struct agent *agent)
{
	if (!agent)
		return;
	kube_watch_free(agent->watch);
	folder_watch_free(agent->records);
	reactor_cancel(agent->report);
	while (agent->tasks)
		task_free(agent->tasks);
	free(agent);
}
