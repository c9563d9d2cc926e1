/*
 * Tells when something appears in or vanishes from a few folders, or a folder itself does.
 * The kernel may lack the means (inotify has few instances per user), and a watch dies with its
 * folder: whoever must not miss a change looks from time to time as well.
 */
#ifndef BASE_FOLDER_WATCH_H
#define BASE_FOLDER_WATCH_H

#include "base/reactor.h"

struct folder_watch;

#define FOLDER_WATCH_MAX 4

/* `which` is the number given to folder_watch_set(); `name` is "" for the folder itself. */
typedef void folder_watch_fn(void *data, unsigned which, const char *name);

/* NULL with `e` filled when the kernel gives no inotify descriptor. */
struct folder_watch *folder_watch_new(struct reactor *reactor, folder_watch_fn *fn, void *data,
				      struct err *e);

/*
 * From now on the folder that has this path now is folder number `which`; one that was watched
 * under this number before is forgotten. Costs little when nothing has changed. A folder that
 * does not exist, or cannot be watched, is not watched.
 */
void folder_watch_set(struct folder_watch *watch, unsigned which, const char *path);

/* NULL is fine. */
void folder_watch_free(struct folder_watch *watch);

#endif
