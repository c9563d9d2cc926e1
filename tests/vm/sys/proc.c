/* base/proc with a child that the kernel does not let die. */
#include "base/proc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "check.h"

enum { TIMEOUT_MS = 2000 };

/* A write to a suspended mapping waits in the kernel, deaf to SIGKILL. */
static void stuck_child(void)
{
	const char *const argv[] = { "dd",
				     "if=/dev/zero",
				     "of=/dev/mapper/systest-stuck",
				     "oflag=direct",
				     "bs=4096",
				     "count=1",
				     NULL };
	struct proc_result result;
	struct volume volume;
	struct err e = { 0 };

	if (!volume_make(&volume, "stuck", 24 * MI))
		return;
	CHECK(shell("dmsetup suspend --nolockfs --noflush systest-stuck"), "suspended");
	int lock = lock_try(scratch_fd, "stuck.lock");
	CHECK(lock >= 0, "the volume is locked");
	fflush(stdout);
	/* An alarm would only end this program: the watchdog lets the child go on instead. */
	pid_t watchdog = fork();
	if (watchdog == 0) {
		close(lock);
		sleep(60);
		execlp("dmsetup", "dmsetup", "resume", "systest-stuck", NULL);
		_exit(1);
	}
	int64_t start = clock_ms();
	REFUSED(proc_run(argv, TIMEOUT_MS, &result, &e), ERR_DEADLINE_EXCEEDED, "dd",
		"a child that cannot die is given up");
	CHECK(clock_ms() - start < 30000, "within %lld ms", (long long)(clock_ms() - start));
	kill(watchdog, SIGKILL);
	waitpid(watchdog, NULL, 0);
	close(lock);
	CHECK(lock_try(scratch_fd, "stuck.lock") < 0, "its lock is still held by it");
	CHECK(shell("dmsetup resume systest-stuck"), "resumed");
	lock = -1;
	for (int64_t end = clock_ms() + 20000; clock_ms() < end;) {
		lock = lock_try(scratch_fd, "stuck.lock");
		if (lock >= 0)
			break;
		usleep(50000);
	}
	CHECK(lock >= 0, "and free when it has died");
	close(lock);
	unlinkat(scratch_fd, "stuck.lock", 0);
	while (waitpid(-1, NULL, 0) > 0)
		continue;
	volume_drop(&volume);
}

/* Nothing but input, output and the lock reaches a program. */
static void descriptors(void)
{
	const char *const argv[] = { "sh", "-c", "ls -l /proc/$$/fd | sed -n 's/.* -> //p' | sort",
				     NULL };
	struct proc_result result;
	struct volume volume;
	struct err e = { 0 };

	if (!volume_make(&volume, "fds", 24 * MI))
		return;
	int lock = lock_try(scratch_fd, "fds.lock");
	OK(proc_run(argv, 10000, &result, &e), "a program lists its descriptors");
	printf("#   %s\n", result.output);
	CHECK(!strstr(result.output, "loop") && !strstr(result.output, "mapper") &&
		      !strstr(result.output, ".img"),
	      "no device and no image among them");
	CHECK(strstr(result.output, "fds.lock") != NULL, "but the lock");
	const char *null = strstr(result.output, "/dev/null");
	CHECK(null && !strstr(null + 1, "/dev/null"), "/dev/null only once, as input");
	close(lock);
	unlinkat(scratch_fd, "fds.lock", 0);
	volume_drop(&volume);
}

void test_proc(void)
{
	descriptors();
	stuck_child();
}
