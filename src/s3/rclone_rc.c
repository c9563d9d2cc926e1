/* HTTP/1.0 over a unix socket: one question, one JSON object. */
#include "s3/rclone_rc.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"

/* A queue of 50,000 files is some 10 MB of text. */
enum { ANSWER_LIMIT = 16 << 20 };

static int no_answer(const char *call, const char *why, struct err *e)
{
	return err_set(e, ERR_UNAVAILABLE, "rclone does not answer '%s': %s", call, why);
}

/* An rclone that hangs accepts nobody: with a full queue connect(2) would wait for ever. */
static int connect_rc(const char *path, int64_t timeout_ms, int *ret_fd)
{
	const struct timeval timeout = { .tv_sec = timeout_ms / 1000,
					 .tv_usec = timeout_ms % 1000 * 1000 + 1 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	*ret_fd = TAKE(fd, -1);
	return 0;
}

/* Everything until the other side closes, NUL-terminated; owned by the caller. */
static int read_all(int fd, int64_t end_ms, char **ret_text)
{
	auto_free char *text = NULL;
	size_t used = 0, room = 0;

	for (;;) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		int64_t left = end_ms - clock_ms();

		if (left <= 0 || poll(&ready, 1, (int)left) == 0)
			return -ETIMEDOUT;
		if (room - used < 65536) {
			room = room * 2 + (128 << 10);
			if (room > 2 * ANSWER_LIMIT)
				return -EFBIG;
			text = xrealloc(text, room + 1);
		}
		ssize_t got = read(fd, text + used, room - used);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			used += (size_t)got;
		if (got == 0)
			break;
	}
	text[used] = '\0';
	*ret_text = TAKE(text, NULL);
	return 0;
}

static int ask(const char *path, const char *call, int64_t end_ms, json_t **ret_json, struct err *e)
{
	auto_close int fd = -1;
	auto_free char *answer = NULL;
	auto_free char *question = xasprintf("POST /%s HTTP/1.0\r\nHost: rclone\r\nContent-Type: "
					     "application/json\r\nContent-Length: 2\r\n\r\n{}",
					     call);
	struct err why;
	int64_t left = end_ms - clock_ms();
	int rc = left > 0 ? connect_rc(path, left, &fd) : -ETIMEDOUT;

	if (rc == 0)
		rc = fd_write_all(fd, question, strlen(question));
	if (rc == 0)
		rc = read_all(fd, end_ms, &answer);
	if (rc < 0)
		return no_answer(call, strerror(-rc), e);
	const char *body = strstr(answer, "\r\n\r\n");
	if (strncmp(answer, "HTTP/1.", 7) != 0 || strncmp(answer + 8, " 200 ", 5) != 0 || !body)
		return no_answer(call, "its status is not 200", e);
	*ret_json = json_parse_object(body + 4, call, &why);
	return *ret_json ? 0 : no_answer(call, why.msg, e);
}

static bool take_count(const json_t *object, const char *key, uint64_t *ret_count)
{
	const json_t *value = json_object_get(object, key);

	*ret_count = (uint64_t)json_integer_value(value);
	return json_is_integer(value) && json_integer_value(value) >= 0;
}

static int take_cache(const json_t *root, struct rclone_stats *stats, struct err *e)
{
	const json_t *cache = json_object_get(root, "diskCache");

	stats->has_cache = json_is_object(cache);
	if (!stats->has_cache)
		return 0;
	if (!take_count(cache, "uploadsQueued", &stats->queued) ||
	    !take_count(cache, "uploadsInProgress", &stats->uploading) ||
	    !take_count(cache, "bytesUsed", &stats->cache_bytes))
		return no_answer("vfs/stats", "its numbers are missing", e);
	stats->out_of_space = json_is_true(json_object_get(cache, "outOfSpace"));
	return 0;
}

static int take_queue(const json_t *root, struct rclone_stats *stats, struct err *e)
{
	const json_t *queue = json_object_get(root, "queue");
	const json_t *item;
	size_t i;

	if (!json_is_array(queue))
		return no_answer("vfs/queue", "there is no queue in it", e);
	json_array_foreach(queue, i, item)
	{
		json_int_t size = json_integer_value(json_object_get(item, "size"));
		json_int_t tries = json_integer_value(json_object_get(item, "tries"));
		bool uploading = json_is_true(json_object_get(item, "uploading"));

		stats->waiting_bytes += size > 0 ? (uint64_t)size : 0;
		stats->failed += tries > (uploading ? 1 : 0); /* the one that goes on counts */
	}
	return 0;
}

int rclone_rc_stats(const char *socket_path, int64_t timeout_ms, struct rclone_stats *ret_stats,
		    struct err *e)
{
	int64_t end_ms = clock_ms() + timeout_ms;
	struct rclone_stats stats = { 0 };
	auto_json json_t *state = NULL, *queue = NULL;

	if (ask(socket_path, "vfs/stats", end_ms, &state, e) < 0 ||
	    take_cache(state, &stats, e) < 0)
		return -1;
	if (stats.has_cache && (ask(socket_path, "vfs/queue", end_ms, &queue, e) < 0 ||
				take_queue(queue, &stats, e) < 0))
		return -1;
	*ret_stats = stats;
	return 0;
}
