/* inotify in the event loop. */
#include "base/folder_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/mem.h"

#define CHANGES                                                                                    \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)

struct folder_watch {
	int fd;
	int number[FOLDER_WATCH_MAX]; /* the kernel's; -1: not watched */
	struct reactor_watch *watch;
	folder_watch_fn *fn;
	void *data;
};

static void tell(struct folder_watch *watch, const struct inotify_event *event)
{
	for (unsigned which = 0; which < FOLDER_WATCH_MAX; which++) {
		if (watch->number[which] != event->wd)
			continue;
		/* The kernel's number is dead; it gives it to nobody else. */
		if (event->mask & IN_IGNORED)
			watch->number[which] = -1;
		watch->fn(watch->data, which, event->len ? event->name : "");
	}
}

static void on_events(void *data, uint32_t events)
{
	struct folder_watch *watch = data;
	_Alignas(struct inotify_event) char buffer[4096];
	ssize_t size = read(watch->fd, buffer, sizeof(buffer));

	(void)events;
	for (char *at = buffer; at < buffer + size;) {
		const struct inotify_event *event = (const void *)at;

		tell(watch, event);
		at += sizeof(*event) + event->len;
	}
}

struct folder_watch *folder_watch_new(struct reactor *reactor, folder_watch_fn *fn, void *data,
				      struct err *e)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0) {
		err_sys(e, errno, "cannot watch folders (fs.inotify.max_user_instances?)");
		return NULL;
	}
	struct folder_watch *watch = xcalloc(1, sizeof(*watch));
	*watch = (struct folder_watch){ .fd = fd, .fn = fn, .data = data };
	for (unsigned which = 0; which < FOLDER_WATCH_MAX; which++)
		watch->number[which] = -1;
	watch->watch = reactor_watch(reactor, fd, EPOLLIN, on_events, watch, e);
	if (!watch->watch) {
		folder_watch_free(watch);
		return NULL;
	}
	return watch;
}

void folder_watch_set(struct folder_watch *watch, unsigned which, const char *path)
{
	/* The same inode gives the same number again. */
	int number = inotify_add_watch(watch->fd, path, CHANGES | IN_ONLYDIR);

	if (watch->number[which] >= 0 && watch->number[which] != number)
		inotify_rm_watch(watch->fd, watch->number[which]);
	watch->number[which] = number;
}

void folder_watch_free(struct folder_watch *watch)
{
	if (!watch)
		return;
	reactor_unwatch(watch->watch);
	close(watch->fd);
	free(watch);
}
