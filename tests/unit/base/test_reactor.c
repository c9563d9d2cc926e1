/* base/reactor: callbacks may remove anything, and timers fire in order. */
#include "base/reactor.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "unit.h"

struct trace {
	struct reactor *reactor;
	struct reactor_watch *first, *second;
	struct reactor_timer *cancelled;
	char seen[16];
};

static void note(struct trace *trace, const char *what)
{
	strncat(trace->seen, what, sizeof(trace->seen) - strlen(trace->seen) - 1);
}

static void on_a(void *data)
{
	note(data, "a");
}

static void on_b(void *data)
{
	struct trace *trace = data;

	note(trace, "b");
	reactor_cancel(trace->cancelled);
}

static void on_c(void *data)
{
	note(data, "c");
}

static void on_end(void *data)
{
	struct trace *trace = data;

	reactor_stop(trace->reactor);
}

static void timers_fire_in_order_and_can_be_cancelled(void **state)
{
	struct err e = { 0 };
	struct trace trace = { .reactor = reactor_new(&e) };

	(void)state;
	assert_non_null(trace.reactor);
	trace.cancelled = reactor_after(trace.reactor, 20, on_c, &trace);
	reactor_after(trace.reactor, 10, on_b, &trace);
	reactor_after(trace.reactor, 1, on_a, &trace);
	reactor_after(trace.reactor, 30, on_end, &trace);
	assert_int_equal(reactor_run(trace.reactor, &e), 0);
	assert_string_equal(trace.seen, "ab");
	reactor_free(trace.reactor);
}

/* Both descriptors are ready in one round; whichever comes first removes the other. */
static void on_ready(void *data, uint32_t events)
{
	struct trace *trace = data;

	(void)events;
	note(trace, "r");
	reactor_unwatch(trace->first);
	reactor_unwatch(trace->second);
	trace->first = trace->second = NULL;
	reactor_stop(trace->reactor);
}

static void a_removed_watch_is_never_called(void **state)
{
	struct err e = { 0 };
	struct trace trace = { .reactor = reactor_new(&e) };
	int a[2], b[2];

	(void)state;
	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	trace.first = reactor_watch(trace.reactor, a[0], EPOLLIN, on_ready, &trace, &e);
	trace.second = reactor_watch(trace.reactor, b[0], EPOLLIN, on_ready, &trace, &e);
	assert_int_equal(reactor_run(trace.reactor, &e), 0);
	assert_string_equal(trace.seen, "r");
	reactor_free(trace.reactor);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order_and_can_be_cancelled),
		cmocka_unit_test(a_removed_watch_is_never_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
