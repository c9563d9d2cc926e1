/*
 * The event loop: file descriptors and timers, one thread, no locks. A callback may remove any
 * watch or timer, its own included, and may add new ones; nothing in it may block.
 */
#ifndef BASE_REACTOR_H
#define BASE_REACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct reactor;
struct reactor_watch;
struct reactor_timer;

typedef void reactor_fd_fn(void *data, uint32_t events);
typedef void reactor_timer_fn(void *data);

/* NULL with `e` filled when the kernel gives no epoll descriptor. */
struct reactor *reactor_new(struct err *e);

/* Frees the loop and all watches and timers; descriptors stay open. NULL is fine. */
void reactor_free(struct reactor *reactor);

/* Watches fd (borrowed) for epoll `events`. NULL with `e` filled on failure. */
struct reactor_watch *reactor_watch(struct reactor *reactor, int fd, uint32_t events,
				    reactor_fd_fn *fn, void *data, struct err *e);

/* Changes what is watched; 0 pauses. */
void reactor_watch_events(struct reactor_watch *watch, uint32_t events);

/* Ends the watch; to be called before the descriptor is closed. NULL is fine. */
void reactor_unwatch(struct reactor_watch *watch);

/* Calls fn once after delay_ms. Owned by the reactor until it fires or is cancelled. */
struct reactor_timer *reactor_after(struct reactor *reactor, int64_t delay_ms, reactor_timer_fn *fn,
				    void *data);

/* NULL is fine. A timer that has fired is gone: forget its pointer in the callback. */
void reactor_cancel(struct reactor_timer *timer);

/* Runs until reactor_stop() was called. */
int reactor_run(struct reactor *reactor, struct err *e) MUST_CHECK;
void reactor_stop(struct reactor *reactor);

#endif
