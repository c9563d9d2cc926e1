/* s3: a server that hangs and whose queue of connections is full is waited for in bounded time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "s3/mounter_client.h"
#include "s3/rclone_rc.h"
#include "unit.h"

enum { HANG_S = 60 };

struct full {
	char folder[64], path[128];
	int listener;
	int clients[8];
	size_t count;
};

/* Nobody accepts; connections are made until one would wait. */
static void fill(struct full *full, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(full, 0, sizeof(*full));
	snprintf(full->folder, sizeof(full->folder), "/tmp/lcw-full.XXXXXX");
	assert_non_null(mkdtemp(full->folder));
	snprintf(full->path, sizeof(full->path), "%s/s", full->folder);
	memcpy(address.sun_path, full->path, strlen(full->path));
	full->listener = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(full->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(full->listener, 0), 0);
	for (; full->count < 8; full->count++) {
		int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		full->clients[full->count] = fd;
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			break;
	}
	assert_in_range(full->count, 1, 7);
	alarm(HANG_S); /* a call that waits for ever ends the test */
}

static void empty(struct full *full)
{
	alarm(0);
	for (size_t i = 0; i <= full->count; i++)
		close(full->clients[i]);
	close(full->listener);
	unlink(full->path);
	rmdir(full->folder);
}

static void an_rclone_that_hangs(void **state)
{
	int64_t begin = clock_ms();
	struct rclone_stats stats;
	struct full full;
	struct err e;

	(void)state;
	fill(&full, SOCK_STREAM);
	assert_int_equal(rclone_rc_stats(full.path, 300, &stats, &e), -1);
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	assert_in_range(clock_ms() - begin, 250, 5000);
	empty(&full);
}

static void a_mounter_that_hangs(void **state)
{
	struct mounter_status status;
	struct full full;
	struct err e;

	(void)state;
	fill(&full, SOCK_SEQPACKET);
	const struct mounter mounter = { .run_dir = full.folder, .socket_path = full.path };
	assert_int_equal(mounter_look(&mounter, "pvc-1", &status, &e), -1);
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(e.msg, "no answer in time"));
	empty(&full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_rclone_that_hangs),
		cmocka_unit_test(a_mounter_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
