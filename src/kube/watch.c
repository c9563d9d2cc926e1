/* List and watch as one machine with two states, and a pause between tries. */
#include "kube/watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/answer.h"
#include "kube/backoff.h"
#include "kube/client.h"
#include "kube/http.h"

enum {
	FIRST_WAIT_MS = 1000,
	LAST_WAIT_MS = 30 * 1000,
	LIST_MS = 60 * 1000,
	WATCH_S = 5 * 60,
	LATE_MS = 30 * 1000,  /* the server ends a watch itself; it is dead when it does not */
	SHORT_MS = 1000,      /* a watch that ends at once is no success */
	QUIET_MS = 60 * 1000, /* a trouble that comes and goes is logged once in this time */
	PAGE = 100,
	TEXT_KEPT = 64 << 10, /* room that a watch keeps between objects */
	TEXT_LIMIT = 8 << 20, /* one page, or one object */
};

struct kube_watch {
	struct reactor *reactor;
	struct kube_watch_settings settings;
	char *resource, *query;
	struct kube_watch_events events;
	struct http_stream *stream;
	struct reactor_timer *pause;
	struct backoff backoff;
	bool is_watching; /* else listing */
	char *version;	  /* resourceVersion to watch from */
	char *next;	  /* page of the list; NULL: the first */
	char *text;	  /* of a page, or of a line that is not complete */
	size_t size, room;
	int64_t begun_ms, warned_ms;
	bool must_list;	       /* the server has said 410 inside a watch */
	bool is_in_trouble;    /* and that was logged */
	bool watching_failed;  /* not listing: that a list succeeds then says nothing */
	bool is_told, is_free; /* inside our own callback; what is free goes at its end */
	struct err refused;    /* what the server has said inside a watch */
};

static void begin(struct kube_watch *w);

/* Ends what began with is_told = true: then the caller may free the watch in an event. */
static void leave(struct kube_watch *w)
{
	w->is_told = false;
	if (w->is_free)
		kube_watch_free(w);
}

static void tell(struct kube_watch *w, enum kube_change change, const json_t *object)
{
	if (!w->is_free)
		w->events.object(w->events.data, change, object);
}

static void on_pause_over(void *data)
{
	struct kube_watch *w = data;

	w->pause = NULL;
	w->is_told = true;
	begin(w);
	leave(w);
}

static void begin_after(struct kube_watch *w, int64_t ms)
{
	if (!w->is_free)
		w->pause = reactor_after(w->reactor, ms, on_pause_over, w);
}

static int64_t next_wait(struct kube_watch *w, int64_t wanted_ms)
{
	int64_t first = w->settings.first_wait_ms ? w->settings.first_wait_ms : FIRST_WAIT_MS;

	w->watching_failed = w->is_watching;
	return backoff_next(&w->backoff, first, LAST_WAIT_MS, wanted_ms);
}

static void failed(struct kube_watch *w, const struct err *e, int64_t retry_after_ms)
{
	int64_t ms = next_wait(w, retry_after_ms), now = clock_ms();
	bool is_news = !w->is_in_trouble && (!w->warned_ms || now - w->warned_ms >= QUIET_MS);

	if (is_news) {
		w->is_in_trouble = true;
		w->warned_ms = now;
		log_warn("cannot follow objects of Kubernetes, trying again",
			 KV("resource", w->resource), KV("error", e->msg));
	} else {
		log_debug("still cannot follow objects of Kubernetes", KV("resource", w->resource),
			  KV("error", e->msg), KV("ms", ms));
	}
	begin_after(w, ms);
}

static void succeeded(struct kube_watch *w)
{
	w->backoff.failures = 0;
	w->watching_failed = false;
	if (w->is_in_trouble)
		log_info("following objects of Kubernetes again", KV("resource", w->resource));
	w->is_in_trouble = false;
}

/* Not all at once when a server comes back. */
static int64_t watch_seconds(const struct kube_watch *w)
{
	uint32_t random = 0;

	if (w->settings.request_s)
		return w->settings.request_s;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = 0;
	return WATCH_S + random % WATCH_S;
}

static void begin(struct kube_watch *w)
{
	int64_t seconds = watch_seconds(w);
	auto_free char *path = w->is_watching
				       ? kube_watch_path(w->resource, w->query, w->version, seconds)
				       : kube_page_path(w->resource, w->query, PAGE, w->next);
	struct http_request request = {
		.method = "GET",
		.path = path,
		.timeout_ms = w->is_watching ? seconds * 1000 + LATE_MS : LIST_MS,
	};
	struct err e = { 0 };

	w->size = 0;
	w->begun_ms = clock_ms();
	w->refused = (struct err){ 0 };
	if (!w->is_watching && !w->next && !w->is_free)
		w->events.list_begins(w->events.data);
	if (w->is_free)
		return;
	if (http_stream_begin(w->stream, &request, &e) < 0)
		failed(w, &e, -1);
}

static const char *version_of(const json_t *object)
{
	return json_string_value(
		json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
}

static void remember_version(struct kube_watch *w, const json_t *object)
{
	const char *version = version_of(object);

	if (!version || !*version)
		return;
	free(w->version);
	w->version = xstrdup(version);
}

/* One event of a watch. False ends the watch. */
static bool take_event(struct kube_watch *w, const char *line)
{
	auto_json json_t *event = json_parse_object(line, "event", &w->refused);
	const json_t *object = json_object_get(event, "object");
	const char *type = json_string_value(json_object_get(event, "type"));

	if (!event)
		return false;
	if (!object || !type) {
		err_set(&w->refused, ERR_UNAVAILABLE, "the server tells an event without object");
		return false;
	}
	if (strcmp(type, "ERROR") == 0) {
		answer_status(object, "the watch was ended", &w->refused);
		w->must_list = w->refused.code == ERR_OUT_OF_RANGE;
		return false;
	}
	remember_version(w, object);
	if (strcmp(type, "DELETED") == 0)
		tell(w, KUBE_DELETED, object);
	else if (strcmp(type, "BOOKMARK") != 0)
		tell(w, KUBE_PRESENT, object);
	if (clock_ms() - w->begun_ms >= SHORT_MS)
		succeeded(w);
	return !w->is_free;
}

/* A burst must not keep its memory for ever. */
static void forget_text(struct kube_watch *w)
{
	free(w->text);
	w->text = NULL;
	w->size = w->room = 0;
}

static bool take_lines(struct kube_watch *w)
{
	char *at = w->text, *end;
	bool go_on = true;

	while (go_on && (end = memchr(at, '\n', w->size - (size_t)(at - w->text)))) {
		*end = '\0';
		go_on = take_event(w, at);
		at = end + 1;
	}
	w->size -= (size_t)(at - w->text);
	memmove(w->text, at, w->size);
	if (w->size == 0 && w->room > TEXT_KEPT)
		forget_text(w);
	return go_on;
}

static bool on_part(void *data, const char *bytes, size_t size)
{
	struct kube_watch *w = data;

	if (size > TEXT_LIMIT - w->size) {
		err_set(&w->refused, ERR_RESOURCE_EXHAUSTED, "an answer has more than %d MiB",
			TEXT_LIMIT >> 20);
		return false;
	}
	if (w->size + size >= w->room) {
		w->room = (w->size + size) * 2 + 1;
		w->text = xrealloc(w->text, w->room);
	}
	memcpy(w->text + w->size, bytes, size);
	w->size += size;
	w->text[w->size] = '\0';
	if (!w->is_watching)
		return true;
	w->is_told = true;
	bool go_on = take_lines(w);
	leave(w);
	return go_on;
}

static int take_page(struct kube_watch *w, struct err *e)
{
	struct http_reply reply = { .status = 200, .body = w->text, .size = w->size };
	auto_json json_t *page = answer_object(&reply, "cannot list", e);
	json_t *object;
	size_t at;

	forget_text(w);
	if (!page)
		return -1;
	const char *version = version_of(page);
	if (!version || !*version)
		return err_set(e, ERR_UNAVAILABLE,
			       "cannot list: the answer is no list: it has no resourceVersion");
	json_array_foreach(json_object_get(page, "items"), at, object)
	{
		tell(w, KUBE_PRESENT, object);
	}
	const char *next =
		json_string_value(json_object_get(json_object_get(page, "metadata"), "continue"));
	remember_version(w, page);
	free(w->next);
	w->next = next && *next ? xstrdup(next) : NULL;
	return 0;
}

static void list_again(struct kube_watch *w)
{
	w->is_watching = false;
	w->must_list = false;
	free(TAKE(w->next, NULL));
}

static void page_ended(struct kube_watch *w)
{
	struct err e = { 0 };

	if (take_page(w, &e) < 0) {
		list_again(w);
		failed(w, &e, -1);
		return;
	}
	if (!w->watching_failed)
		succeeded(w);
	if (!w->next && !w->is_free) {
		w->is_watching = true;
		w->events.listed(w->events.data);
	}
	begin(w);
}

/* The version is too old: normal after a long absence, and no reason to hurry if it goes on. */
static void too_old(struct kube_watch *w, bool was_long)
{
	if (was_long)
		w->backoff.failures = 0;
	int64_t ms = next_wait(w, -1);
	list_again(w);
	begin_after(w, ms);
}

/* The server ends a watch after its time, which is no trouble: the next one goes on from there. */
static void watch_ended(struct kube_watch *w, const struct err *e)
{
	bool was_long = clock_ms() - w->begun_ms >= SHORT_MS;

	forget_text(w);
	if (w->must_list) {
		too_old(w, was_long);
	} else if (w->refused.code != ERR_OK) {
		failed(w, &w->refused, -1);
	} else if (e && !was_long) {
		failed(w, e, -1);
	} else {
		succeeded(w);
		begin_after(w, was_long ? 0 : SHORT_MS);
	}
}

static void request_ended(struct kube_watch *w, const struct http_reply *reply, const struct err *e)
{
	struct err why = { 0 };

	if (reply->status == 200 && w->is_watching) {
		watch_ended(w, e);
	} else if (reply->status == 200 && !e) {
		page_ended(w);
	} else if (reply->status == 410 && !e) {
		too_old(w, false);
	} else {
		if (e)
			why = w->refused.code != ERR_OK ? w->refused : *e;
		else
			json_decref(answer_object(reply,
						  w->is_watching ? "cannot watch" : "cannot list",
						  &why));
		failed(w, &why, reply->retry_after_ms);
		/*
		 * The next page of a list that broke off may be of another time; a resource that
		 * was gone may come back with other objects; a version may mean nothing here.
		 */
		if (!w->is_watching || why.code == ERR_NOT_FOUND ||
		    why.code == ERR_INVALID_ARGUMENT)
			list_again(w);
	}
}

static void on_end(void *data, const struct http_reply *reply, const struct err *e)
{
	struct kube_watch *w = data;

	w->is_told = true;
	request_ended(w, reply, e);
	leave(w);
}

struct kube_watch *kube_watch_new(struct reactor *reactor, const struct kube_config *config,
				  const struct kube_watch_settings *settings,
				  const struct kube_watch_events *events, struct err *e)
{
	struct kube_watch *w = xcalloc(1, sizeof(*w));
	struct http_stream_events told = { .part = on_part, .end = on_end, .data = w };

	w->stream = http_stream_open(reactor, config, &told, e);
	if (!w->stream) {
		free(w);
		return NULL;
	}
	w->reactor = reactor;
	w->settings = *settings;
	w->resource = xstrdup(settings->resource);
	w->query = xstrdup(settings->query);
	w->events = *events;
	begin_after(w, 0);
	return w;
}

void kube_watch_free(struct kube_watch *w)
{
	if (!w)
		return;
	w->is_free = true;
	if (w->is_told)
		return;
	http_stream_close(w->stream);
	reactor_cancel(w->pause);
	free(w->resource);
	free(w->query);
	free(w->version);
	free(w->next);
	free(w->text);
	free(w);
}
