/* Counters for Prometheus. */
#include "ops/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

enum { METHODS_MAX = 40, CODES = 17 };

/* Seconds; chosen for calls that take milliseconds (bind) to seconds (key derivation, mkfs). */
static const double bounds[] = { 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 15, 60 };

struct histogram {
	unsigned long buckets[ARRAY_LEN(bounds)];
	unsigned long count;
	int64_t sum_ms;
};

struct method_counts {
	const char *name;
	unsigned long by_code[CODES];
	struct histogram times;
};

struct metrics {
	struct method_counts methods[METHODS_MAX];
	size_t method_count;
	struct histogram steps[STEP_COUNT];
	unsigned workers;
	time_t started;
};

struct metrics *metrics_new(void)
{
	struct metrics *metrics = xcalloc(1, sizeof(*metrics));

	metrics->started = time(NULL);
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	free(metrics);
}

/* Names come from the method table (or are "unknown"), so there are few and they stay. */
static struct method_counts *counts_of(struct metrics *metrics, const char *method)
{
	for (size_t i = 0; i < metrics->method_count; i++)
		if (strcmp(metrics->methods[i].name, method) == 0)
			return &metrics->methods[i];
	if (metrics->method_count == METHODS_MAX)
		return NULL;
	metrics->methods[metrics->method_count].name = method;
	return &metrics->methods[metrics->method_count++];
}

static void add_time(struct histogram *times, int64_t ms)
{
	times->count++;
	times->sum_ms += ms;
	for (size_t i = 0; i < ARRAY_LEN(bounds); i++)
		if ((double)ms <= bounds[i] * 1000)
			times->buckets[i]++;
}

static void on_finished(void *data, const char *method, enum err_code code, int64_t ms)
{
	struct method_counts *counts = counts_of(data, method);

	if (!counts)
		return;
	counts->by_code[(unsigned)code < CODES ? code : ERR_UNKNOWN]++;
	add_time(&counts->times, ms);
}

static void on_step(void *data, enum step step, int64_t ms)
{
	struct metrics *metrics = data;

	add_time(&metrics->steps[step], ms);
}

static void on_workers(void *data, unsigned running)
{
	struct metrics *metrics = data;

	metrics->workers = running;
}

void metrics_observer(struct metrics *metrics, struct rpc_observer *ret_observer)
{
	*ret_observer = (struct rpc_observer){
		.finished = on_finished,
		.workers = on_workers,
		.step = on_step,
		.data = metrics,
	};
}

static void put_calls(FILE *out, const struct metrics *metrics)
{
	fputs("# HELP lukscryptwalker_rpc_total CSI calls by method and gRPC code.\n"
	      "# TYPE lukscryptwalker_rpc_total counter\n",
	      out);
	for (size_t i = 0; i < metrics->method_count; i++)
		for (unsigned code = 0; code < CODES; code++)
			if (metrics->methods[i].by_code[code])
				fprintf(out,
					"lukscryptwalker_rpc_total{method=\"%s\",code=\"%s\"} "
					"%lu\n",
					metrics->methods[i].name,
					err_code_name((enum err_code)code),
					metrics->methods[i].by_code[code]);
}

static void put_histogram(FILE *out, const char *name, const char *label, const char *value,
			  const struct histogram *times)
{
	for (size_t b = 0; b < ARRAY_LEN(bounds); b++)
		fprintf(out, "%s_bucket{%s=\"%s\",le=\"%g\"} %lu\n", name, label, value, bounds[b],
			times->buckets[b]);
	fprintf(out, "%s_bucket{%s=\"%s\",le=\"+Inf\"} %lu\n", name, label, value, times->count);
	fprintf(out, "%s_sum{%s=\"%s\"} %.3f\n", name, label, value, (double)times->sum_ms / 1000);
	fprintf(out, "%s_count{%s=\"%s\"} %lu\n", name, label, value, times->count);
}

static void put_latencies(FILE *out, const struct metrics *metrics)
{
	static const char calls[] = "lukscryptwalker_rpc_duration_seconds";
	static const char steps[] = "lukscryptwalker_step_duration_seconds";

	fprintf(out, "# HELP %s Time from request to answer.\n# TYPE %s histogram\n", calls, calls);
	for (size_t i = 0; i < metrics->method_count; i++)
		put_histogram(out, calls, "method", metrics->methods[i].name,
			      &metrics->methods[i].times);
	fprintf(out, "# HELP %s Time of the slow steps of calls.\n# TYPE %s histogram\n", steps,
		steps);
	for (int step = 0; step < STEP_COUNT; step++)
		put_histogram(out, steps, "step", step_name((enum step)step),
			      &metrics->steps[step]);
}

char *metrics_text(const struct metrics *metrics)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	put_calls(out, metrics);
	put_latencies(out, metrics);
	fprintf(out,
		"# HELP lukscryptwalker_workers Worker processes that run now.\n"
		"# TYPE lukscryptwalker_workers gauge\n"
		"lukscryptwalker_workers %u\n"
		"# HELP lukscryptwalker_start_time_seconds Unix time of the start of this "
		"process.\n"
		"# TYPE lukscryptwalker_start_time_seconds gauge\n"
		"lukscryptwalker_start_time_seconds %lld\n"
		"# HELP lukscryptwalker_build_info Version of the driver.\n"
		"# TYPE lukscryptwalker_build_info gauge\n"
		"lukscryptwalker_build_info{version=\"%s\"} 1\n",
		metrics->workers, (long long)metrics->started, PROGRAM_VERSION);
	if (fclose(out) != 0)
		abort();
	return text;
}
