/* Loop devices (drivers/block/loop.c, uapi/linux/loop.h). */
#ifndef SYS_LOOP_H
#define SYS_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"

struct loop {
	int fd; /* -1: none */
	unsigned number;
	char path[32]; /* /dev/loopN */
};
#define LOOP_NONE ((struct loop){ .fd = -1 })

/*
 * Attaches image_fd to a free loop device with LOOP_CONFIGURE: direct I/O where the file system
 * can, autoclear (the device frees itself when its last user is gone), `block_size` 512 or 4096.
 * A lost race for a free device is tried again. FAILED_PRECONDITION names the missing module.
 */
int loop_attach(int image_fd, unsigned block_size, bool read_only, struct loop *ret_loop,
		struct err *e) MUST_CHECK;

/*
 * The loop device whose backing file is this inode (LOOP_GET_STATUS64). *ret_found false: none.
 * Two devices on one inode is FAILED_PRECONDITION: two mappings of one image destroy it. A device
 * on a file that is out of reach (a dead server) is passed over, unless it shows `name`, the file
 * name of the image, to people.
 */
int loop_find(const struct stat *image, const char *name, bool *ret_found, struct loop *ret_loop,
	      struct err *e) MUST_CHECK;

/* Whether loop device `number` is backed by this inode. */
int loop_is_backed_by(unsigned number, const struct stat *image, bool *ret_yes,
		      struct err *e) MUST_CHECK;

/* Tells the kernel to read the size of the backing file again. */
int loop_refresh_size(const struct loop *loop, struct err *e) MUST_CHECK;

/* Which file a loop device is on: the device and inode of the file, as stat(2) shows them. */
struct loop_backing {
	uint64_t device, inode; /* inode 0: not attached */
};

/* What loop device `number` is on now. */
int loop_backing(unsigned number, struct loop_backing *ret_backing, struct err *e) MUST_CHECK;

/*
 * Waits until an autoclear device has let go of its file. FAILED_PRECONDITION after timeout_ms:
 * something else has it open. A device that meanwhile serves another file is free of this one.
 */
int loop_wait_detached(unsigned number, const struct loop_backing *backing, int64_t timeout_ms,
		       struct err *e) MUST_CHECK;

/* Closes our descriptor only; an autoclear device without users goes away by itself. */
void loop_close(struct loop *loop);

static inline void cleanup_loop(struct loop *loop)
{
	loop_close(loop);
}
#define auto_loop CLEANUP(cleanup_loop)

#endif
