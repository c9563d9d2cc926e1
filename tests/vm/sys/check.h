/* What the parts of systest share: checks that print one line each, and things to test on. */
#ifndef SYSTEST_CHECK_H
#define SYSTEST_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/macros.h"
#include "sys/dm.h"
#include "sys/loop.h"
#include "sys/luks.h"

#define MI (1ull << 20)
#define PASSPHRASE "systest-passphrase-marker"

/* One line "ok NAME" or "not ok NAME: why (file:line)". */
bool check(bool good, const char *file, int line, const char *fmt, ...) PRINTF(4, 5);
bool check_ok(int rc, const struct err *e, const char *file, int line, const char *fmt, ...)
	PRINTF(5, 6);
bool check_refused(int rc, const struct err *e, enum err_code code, const char *word,
		   const char *file, int line, const char *fmt, ...) PRINTF(7, 8);

#define CHECK(good, ...) check(good, __FILE__, __LINE__, __VA_ARGS__)
/* The call succeeds. Expects `struct err e` in scope, as the next one does. */
#define OK(call, ...)                                                                              \
	({                                                                                         \
		int rc_ = (call);                                                                  \
		check_ok(rc_, &e, __FILE__, __LINE__, __VA_ARGS__);                                \
	})
/* The call fails with this code, and the sentence holds this word. */
#define REFUSED(call, code, word, ...)                                                             \
	({                                                                                         \
		int rc_ = (call);                                                                  \
		check_refused(rc_, &e, code, word, __FILE__, __LINE__, __VA_ARGS__);               \
	})

/* Runs a shell command with its output in ours. true: exit status 0. */
bool shell(const char *fmt, ...) PRINTF(1, 2);
/* The first line that a shell command prints, in a static buffer. */
const char *shell_line(const char *fmt, ...) PRINTF(1, 2);
/* One-line file of /sys. */
const char *sys_line(const char *fmt, ...) PRINTF(1, 2);

/* Runs this program again with these words, in a session keyring of its own; its exit status. */
int other_process(const char *verb, const char *first, const char *second);

/* An image in the scratch folder; gone, with whatever is on it, after image_drop(). */
struct image {
	char name[64];
	char path[256];
	int fd;
	struct stat st;
};
extern int scratch_fd;
extern char scratch[128];
bool image_make(struct image *image, const char *name, uint64_t bytes);
void image_drop(struct image *image);
/* Hash of the whole file, to say whether anything was written. */
void image_sum(const struct image *image, unsigned char ret_sum[32]);
bool image_has_sum(const struct image *image, const unsigned char sum[32]);

/* Cheap key derivation: the processor may be emulated. */
extern const struct luks_params cheap;
extern const struct secret *passphrase, *wrong;
#define UUID "11111111-2222-4333-8444-555555555555"

/* An image with LUKS on it, open as `mapping`; the loop device is left to autoclear. */
struct volume {
	struct image image;
	char mapping[64];
	unsigned loop_number;
	struct dm_info dm;
};
bool volume_make(struct volume *volume, const char *name, uint64_t data_bytes);
/* Grows file, loop device and mapping, as the driver does. */
bool volume_grow(struct volume *volume, uint64_t data_bytes);
void volume_drop(struct volume *volume);

void test_loop(void);
void test_luks(void);
void test_header(void);
void test_probe(void);
void test_fs(void);
void test_mount(void);
void test_proc(void);

#endif
