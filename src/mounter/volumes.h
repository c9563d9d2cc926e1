/* The volumes of the mounter, and its answers. */
#ifndef MOUNTER_VOLUMES_H
#define MOUNTER_VOLUMES_H

#include <stdbool.h>

#include "base/reactor.h"
#include "s3/packet.h"

struct volumes;

/* `rclone_fd` is `rclone` opened, or -1; both borrowed. `forgotten` is called when a volume is no
 * longer known. Never NULL. */
struct volumes *volumes_new(struct reactor *reactor, const char *rclone, int rclone_fd,
			    reactor_timer_fn *forgotten, void *data);

/* Ends every rclone. NULL is fine. */
void volumes_free(struct volumes *volumes);

bool volumes_are_none(const struct volumes *volumes);

/* Answers a question, now or later, and closes the connection. */
void volumes_answer(struct volumes *volumes, struct packet *question, int fd_take);

#endif
