/* Checks, and things to test on. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sys/image.h"

unsigned checks, failures;

const struct luks_params cheap = {
	.cipher = "aes-xts-plain64",
	.key_bits = 512,
	.sector_size = 4096,
	.pbkdf = "pbkdf2",
	.iterations = 1000,
};

static bool report(bool good, const char *why, const char *file, int line, const char *fmt,
		   va_list args) PRINTF(5, 0);

static bool report(bool good, const char *why, const char *file, int line, const char *fmt,
		   va_list args)
{
	char name[256];
	const char *base = strrchr(file, '/');

	vsnprintf(name, sizeof(name), fmt, args);
	checks++;
	failures += !good;
	if (good)
		printf("ok %s\n", name);
	else
		printf("not ok %s: %s (%s:%d)\n", name, why, base ? base + 1 : file, line);
	return good;
}

bool check(bool good, const char *file, int line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(good, "it is not so", file, line, fmt, args);
	va_end(args);
	return good;
}

bool check_ok(int rc, const struct err *e, const char *file, int line, const char *fmt, ...)
{
	char why[sizeof(e->msg) + 64];
	va_list args;

	snprintf(why, sizeof(why), "%s: %s", err_code_name(e->code), e->msg);
	va_start(args, fmt);
	report(rc == 0, why, file, line, fmt, args);
	va_end(args);
	return rc == 0;
}

bool check_refused(int rc, const struct err *e, enum err_code code, const char *word,
		   const char *file, int line, const char *fmt, ...)
{
	bool good =
		rc < 0 && e->code == code && strstr(e->msg, word) && !strstr(e->msg, PASSPHRASE);
	char why[sizeof(e->msg) + 64];
	va_list args;

	snprintf(why, sizeof(why), rc < 0 ? "%s: %s" : "it succeeded", err_code_name(e->code),
		 e->msg);
	va_start(args, fmt);
	report(good, why, file, line, fmt, args);
	va_end(args);
	if (good)
		printf("#   %s: %s\n", err_code_name(e->code), e->msg);
	return good;
}

bool shell(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	fflush(stdout);
	return system(command) == 0;
}

const char *shell_line(const char *fmt, ...)
{
	static char line[1024];
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	line[0] = '\0';
	FILE *out = popen(command, "re");
	if (out && fgets(line, sizeof(line), out))
		line[strcspn(line, "\n")] = '\0';
	if (out)
		pclose(out);
	return line;
}

const char *sys_line(const char *fmt, ...)
{
	static char line[512];
	char path[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	if (fd_read_small(path, line, sizeof(line)) < 0)
		line[0] = '\0';
	return line;
}

int other_process(const char *verb, const char *first, const char *second)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/proc/self/exe", "systest", "--call", verb, first, second, NULL);
		_exit(98);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}

bool image_make(struct image *image, const char *name, uint64_t bytes)
{
	struct err e = { 0 };

	memset(image, 0, sizeof(*image));
	image->fd = -1;
	snprintf(image->name, sizeof(image->name), "%s.img", name);
	snprintf(image->path, sizeof(image->path), "%s/%s", scratch, image->name);
	unlinkat(scratch_fd, image->name, 0);
	return check_ok(image_create(scratch_fd, image->name, bytes, true, &e) < 0 ||
					image_open(scratch_fd, image->name, O_RDWR, &image->fd,
						   &e) < 0 ||
					fstat(image->fd, &image->st) < 0
				? -1
				: 0,
			&e, __FILE__, __LINE__, "%s: an image of %llu bytes", name,
			(unsigned long long)bytes);
}

void image_drop(struct image *image)
{
	struct err e = { 0 };

	if (image->fd >= 0 && image_unlink(scratch_fd, image->name, image->fd, &e) < 0)
		CHECK(false, "%s: removed (%s)", image->name, e.msg);
	cleanup_close(&image->fd);
	image->fd = -1;
}

void image_sum(const struct image *image, unsigned char ret_sum[32])
{
	struct stat st;

	fsync(image->fd);
	fstat(image->fd, &st);
	auto_free unsigned char *bytes = xcalloc(1, (size_t)st.st_size + 1);
	for (off_t at = 0; at < st.st_size;) {
		ssize_t got = pread(image->fd, bytes + at, (size_t)(st.st_size - at), at);
		if (got <= 0)
			break;
		at += got;
	}
	hash_sha256(bytes, (size_t)st.st_size, ret_sum);
}

bool image_has_sum(const struct image *image, const unsigned char sum[32])
{
	unsigned char now[32];

	image_sum(image, now);
	return memcmp(now, sum, sizeof(now)) == 0;
}

bool volume_make(struct volume *volume, const char *name, uint64_t data_bytes)
{
	auto_loop struct loop loop = LOOP_NONE;
	struct err e = { 0 };
	bool found;

	memset(volume, 0, sizeof(*volume));
	snprintf(volume->mapping, sizeof(volume->mapping), "systest-%s", name);
	if (!image_make(&volume->image, name, data_bytes + LUKS_HEADER_BYTES))
		return false;
	int rc = loop_attach(volume->image.fd, 4096, false, &loop, &e);
	if (rc == 0)
		rc = luks_format(loop.path, UUID, &cheap, passphrase, &e);
	if (rc == 0)
		rc = luks_open(loop.path, volume->mapping, false, false, passphrase, &e);
	if (rc == 0)
		rc = dm_find(volume->mapping, &found, &volume->dm, &e);
	volume->loop_number = loop.number;
	return OK(rc, "%s: formatted and opened", name);
}

bool volume_grow(struct volume *volume, uint64_t data_bytes)
{
	struct loop loop = { .number = volume->loop_number };
	struct err e = { 0 };
	bool found;

	snprintf(loop.path, sizeof(loop.path), "/dev/loop%u", loop.number);
	auto_close int fd = open(loop.path, O_RDWR | O_CLOEXEC);
	loop.fd = fd;
	int rc = image_grow(volume->image.fd, data_bytes + LUKS_HEADER_BYTES, true, &e);
	if (rc == 0)
		rc = loop_refresh_size(&loop, &e);
	if (rc == 0)
		rc = luks_resize(volume->mapping, &e);
	if (rc == 0)
		rc = dm_find(volume->mapping, &found, &volume->dm, &e);
	return OK(rc, "%s: grown to %llu bytes", volume->mapping, (unsigned long long)data_bytes) &&
	       CHECK(volume->dm.size_bytes == data_bytes, "%s: the mapping has the new size",
		     volume->mapping);
}

void volume_drop(struct volume *volume)
{
	struct loop_backing backing = { volume->image.st.st_dev, volume->image.st.st_ino };
	struct err e = { 0 };

	OK(luks_close(volume->mapping, &e), "%s: closed", volume->mapping);
	OK(loop_wait_detached(volume->loop_number, &backing, 5000, &e), "%s: detached",
	   volume->mapping);
	image_drop(&volume->image);
}
