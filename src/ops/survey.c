/* When the volumes are looked at, and what is told meanwhile. */
#include "ops/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/job.h"

/* With many volumes a look takes long: then it is done more rarely, to cost at most a twentieth. */
enum { FRESH_MS = 10 * 1000, SHARE = 20 };

struct survey {
	struct rpc_server *server;
	const struct node *node;
	struct store *store;
	char *text; /* owned; NULL before the first */
	bool running;
	int64_t started_ms, next_ms;
	time_t seen;
};

struct survey *survey_new(struct rpc_server *server, const struct node *node, struct store *store)
{
	struct survey *survey = xcalloc(1, sizeof(*survey));

	survey->server = server;
	survey->node = node;
	survey->store = store;
	return survey;
}

void survey_free(struct survey *survey)
{
	if (!survey)
		return;
	free(survey->text);
	free(survey);
}

static int run(void *data, char **ret_text, struct err *e)
{
	const struct survey *survey = data;
	size_t size;
	FILE *out = open_memstream(ret_text, &size);

	if (!out)
		abort();
	int rc = survey_look(survey->node, survey->store, out, e);
	if (fclose(out) != 0)
		abort();
	return rc;
}

static void done(void *data, const char *text, const struct err *e)
{
	struct survey *survey = data;
	int64_t now = clock_ms(), took = now - survey->started_ms;

	survey->running = false;
	survey->next_ms = now + (took * SHARE > FRESH_MS ? took * SHARE : FRESH_MS);
	if (!text) {
		log_warn("the volumes cannot be looked at for /metrics", KV("error", e->msg));
		return;
	}
	free(survey->text);
	survey->text = xstrdup(text);
	survey->seen = time(NULL);
}

static void refresh(struct survey *survey)
{
	const struct rpc_job job = { .name = "survey", .run = run, .done = done, .data = survey };
	struct err e;

	if (survey->running || clock_ms() < survey->next_ms)
		return;
	survey->started_ms = clock_ms();
	survey->running = rpc_server_start_job(survey->server, &job, &e) == 0;
	if (!survey->running)
		log_warn("the volumes cannot be looked at for /metrics", KV("error", e.msg));
}

char *survey_text(struct survey *survey)
{
	refresh(survey);
	if (!survey->text)
		return xstrdup("");
	return xasprintf(
		"%s# HELP lukscryptwalker_survey_timestamp_seconds Unix time of the look at "
		"volumes and disks that is shown here.\n"
		"# TYPE lukscryptwalker_survey_timestamp_seconds gauge\n"
		"lukscryptwalker_survey_timestamp_seconds %lld\n",
		survey->text, (long long)survey->seen);
}
