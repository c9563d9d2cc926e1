/* The event loop over epoll. Timers are a sorted list: there are as many as calls, not more. */
#include "base/reactor.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

struct reactor_watch {
	struct reactor *reactor;
	struct reactor_watch *prev, *next; /* among the living, or `next` among the dead */
	int fd;				   /* -1: removed, to be freed after the current round */
	reactor_fd_fn *fn;
	void *data;
};

struct reactor_timer {
	struct reactor *reactor;
	struct reactor_timer *prev, *next;
	int64_t due_ms;
	reactor_timer_fn *fn;
	void *data;
};

struct reactor {
	int epoll_fd;
	bool stopping;
	struct reactor_timer *timers;
	struct reactor_watch *watches;
	struct reactor_watch *dead; /* a callback may remove a watch whose event is still queued */
};

struct reactor *reactor_new(struct err *e)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0) {
		err_sys(e, errno, "cannot create the event loop");
		return NULL;
	}
	struct reactor *reactor = xcalloc(1, sizeof(*reactor));
	reactor->epoll_fd = fd;
	return reactor;
}

static void bury_the_dead(struct reactor *reactor)
{
	while (reactor->dead) {
		struct reactor_watch *watch = reactor->dead;

		reactor->dead = watch->next;
		free(watch);
	}
}

void reactor_free(struct reactor *reactor)
{
	if (!reactor)
		return;
	while (reactor->watches)
		reactor_unwatch(reactor->watches);
	bury_the_dead(reactor);
	while (reactor->timers)
		reactor_cancel(reactor->timers);
	close(reactor->epoll_fd);
	free(reactor);
}

struct reactor_watch *reactor_watch(struct reactor *reactor, int fd, uint32_t events,
				    reactor_fd_fn *fn, void *data, struct err *e)
{
	struct reactor_watch *watch = xcalloc(1, sizeof(*watch));
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		err_sys(e, errno, "cannot watch descriptor %d", fd);
		free(watch);
		return NULL;
	}
	*watch = (struct reactor_watch){
		.reactor = reactor, .next = reactor->watches, .fd = fd, .fn = fn, .data = data
	};
	if (watch->next)
		watch->next->prev = watch;
	reactor->watches = watch;
	return watch;
}

void reactor_watch_events(struct reactor_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	epoll_ctl(watch->reactor->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void reactor_unwatch(struct reactor_watch *watch)
{
	if (!watch)
		return;
	epoll_ctl(watch->reactor->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	if (watch->prev)
		watch->prev->next = watch->next;
	else
		watch->reactor->watches = watch->next;
	if (watch->next)
		watch->next->prev = watch->prev;
	watch->fd = -1;
	watch->next = watch->reactor->dead;
	watch->reactor->dead = watch;
}

struct reactor_timer *reactor_after(struct reactor *reactor, int64_t delay_ms, reactor_timer_fn *fn,
				    void *data)
{
	struct reactor_timer *timer = xcalloc(1, sizeof(*timer));
	struct reactor_timer **at = &reactor->timers, *prev = NULL;

	timer->reactor = reactor;
	timer->due_ms = clock_ms() + delay_ms;
	timer->fn = fn;
	timer->data = data;
	while (*at && (*at)->due_ms <= timer->due_ms) {
		prev = *at;
		at = &(*at)->next;
	}
	timer->prev = prev;
	timer->next = *at;
	if (*at)
		(*at)->prev = timer;
	*at = timer;
	return timer;
}

void reactor_cancel(struct reactor_timer *timer)
{
	if (!timer)
		return;
	if (timer->prev)
		timer->prev->next = timer->next;
	else
		timer->reactor->timers = timer->next;
	if (timer->next)
		timer->next->prev = timer->prev;
	free(timer);
}

static void fire_due_timers(struct reactor *reactor)
{
	int64_t now = clock_ms();

	while (reactor->timers && reactor->timers->due_ms <= now) {
		struct reactor_timer *timer = reactor->timers;
		reactor_timer_fn *fn = timer->fn;
		void *data = timer->data;

		reactor_cancel(timer);
		fn(data);
	}
}

static int wait_ms(const struct reactor *reactor)
{
	if (!reactor->timers)
		return -1;
	int64_t left = reactor->timers->due_ms - clock_ms();
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

int reactor_run(struct reactor *reactor, struct err *e)
{
	struct epoll_event events[64];

	while (!reactor->stopping) {
		int count =
			epoll_wait(reactor->epoll_fd, events, ARRAY_LEN(events), wait_ms(reactor));

		if (count < 0 && errno != EINTR)
			return err_sys(e, errno, "cannot wait for events");
		for (int i = 0; i < count; i++) {
			struct reactor_watch *watch = events[i].data.ptr;

			if (watch->fd >= 0)
				watch->fn(watch->data, events[i].events);
		}
		fire_due_timers(reactor);
		bury_the_dead(reactor);
	}
	return 0;
}

void reactor_stop(struct reactor *reactor)
{
	reactor->stopping = true;
}
