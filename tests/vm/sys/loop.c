/* sys/loop on a real kernel. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "sys/image.h"

static void attach_find_detach(void)
{
	struct loop loop = LOOP_NONE, found = LOOP_NONE, twice = LOOP_NONE;
	struct loop_backing backing;
	struct image image, other;
	struct err e = { 0 };
	bool yes;

	if (!image_make(&image, "attach", 8 * MI) || !image_make(&other, "other", 8 * MI))
		return;
	OK(loop_find(&image.st, "image", &yes, &found, &e), "loop_find without a device");
	CHECK(!yes, "an image that is not attached is not found");
	OK(loop_attach(image.fd, 4096, false, &loop, &e), "loop_attach");
	CHECK(strcmp(sys_line("/sys/block/loop%u/loop/backing_file", loop.number), image.path) == 0,
	      "the kernel shows the image behind the device");
	CHECK(*sys_line("/sys/block/loop%u/loop/autoclear", loop.number) == '1',
	      "autoclear is set");
	CHECK(*sys_line("/sys/block/loop%u/loop/dio", loop.number) == '1', "direct I/O is used");
	CHECK(atoi(sys_line("/sys/block/loop%u/queue/logical_block_size", loop.number)) == 4096,
	      "the block size is 4096");
	CHECK(strcmp(shell_line("losetup -n -O BACK-FILE %s", loop.path), image.path) == 0,
	      "losetup shows the image's path");
	OK(loop_find(&image.st, "image", &yes, &found, &e), "loop_find with a device");
	CHECK(yes && found.number == loop.number, "it is the device that was attached");
	loop_close(&found);
	OK(loop_is_backed_by(loop.number, &image.st, &yes, &e), "loop_is_backed_by");
	CHECK(yes, "the device is backed by its image");
	OK(loop_is_backed_by(loop.number, &other.st, &yes, &e), "loop_is_backed_by another");
	CHECK(!yes, "the device is not backed by another image");
	OK(loop_backing(loop.number, &backing, &e), "loop_backing");
	CHECK(backing.inode == image.st.st_ino && backing.device == image.st.st_dev,
	      "device and inode are those of stat(2)");
	OK(loop_attach(image.fd, 4096, false, &twice, &e), "a second device on the same image");
	REFUSED(loop_find(&image.st, "image", &yes, &found, &e), ERR_FAILED_PRECONDITION, "twice",
		"two devices on one image are noticed");
	loop_close(&twice);
	REFUSED(loop_wait_detached(loop.number, &backing, 200, &e), ERR_FAILED_PRECONDITION,
		"still attached", "a device that is open is not detached");
	OK(image_grow(image.fd, 12 * MI, true, &e), "the image grows");
	OK(loop_refresh_size(&loop, &e), "loop_refresh_size");
	CHECK(strtoull(sys_line("/sys/block/loop%u/size", loop.number), NULL, 10) * 512 == 12 * MI,
	      "the device has the new size");
	loop_close(&loop);
	OK(loop_wait_detached(loop.number, &backing, 5000, &e), "it detaches when it is closed");
	OK(loop_backing(loop.number, &backing, &e), "loop_backing of a free device");
	CHECK(backing.inode == 0, "a free device has no backing file");
	OK(loop_attach(image.fd, 512, true, &loop, &e), "loop_attach read-only");
	CHECK(*sys_line("/sys/block/loop%u/ro", loop.number) == '1', "it is read-only");
	loop_close(&loop);
	image_drop(&image);
	image_drop(&other);
}

enum { RACERS = 8, MANY = 100 };

/* Each attaches an image of its own and says which device it got. */
static void race_for_devices(void)
{
	struct image images[RACERS];
	bool taken[4096] = { false }, distinct = true;
	int answers[2], hold[2];
	unsigned number;

	if (pipe(answers) < 0 || pipe(hold) < 0)
		return;
	for (int i = 0; i < RACERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "race%d", i);
		image_make(&images[i], name, 4 * MI);
	}
	fflush(stdout);
	for (int i = 0; i < RACERS; i++) {
		if (fork() == 0) {
			struct loop loop = LOOP_NONE;
			struct err e;
			char byte;

			close(hold[1]);
			number = loop_attach(images[i].fd, 512, false, &loop, &e) < 0
					 ? 0
					 : loop.number + 1;
			if (write(answers[1], &number, sizeof(number)) < 0 ||
			    read(hold[0], &byte, 1) < 0)
				_exit(1);
			_exit(0);
		}
	}
	for (int i = 0; i < RACERS; i++) {
		distinct = read(answers[0], &number, sizeof(number)) == sizeof(number) && number &&
			   number < ARRAY_LEN(taken) && !taken[number] && distinct;
		taken[number % ARRAY_LEN(taken)] = true;
	}
	CHECK(distinct, "%d processes at once get %d devices", RACERS, RACERS);
	close(hold[1]);
	while (wait(NULL) > 0)
		continue;
	for (int i = 0; i < RACERS; i++)
		image_drop(&images[i]);
	close(answers[0]);
	close(answers[1]);
	close(hold[0]);
}

static void many_devices(void)
{
	static struct loop loops[MANY];
	struct loop found = LOOP_NONE;
	struct image image;
	struct err e = { 0 };
	bool yes, good = true;

	if (!image_make(&image, "many", 4 * MI))
		return;
	for (int i = 0; i < MANY; i++) {
		char path[192];

		snprintf(path, sizeof(path), "%s/many%d", scratch, i);
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		good = good && ftruncate(fd, 1 * MI) == 0 &&
		       loop_attach(fd, 512, false, &loops[i], &e) == 0;
		close(fd);
		unlink(path);
	}
	int64_t start = clock_ms();
	good = good && loop_find(&image.st, "image", &yes, &found, &e) == 0 && !yes;
	int64_t ms = clock_ms() - start;
	CHECK(good && ms < 2000, "loop_find among %d devices takes %lld ms", MANY, (long long)ms);
	for (int i = 0; i < MANY; i++)
		loop_close(&loops[i]);
	image_drop(&image);
}

/* As in a container whose /dev was filled before the device was made. */
static void device_node_is_missing(void)
{
	struct image image;
	int status = 0;

	if (!image_make(&image, "node", 4 * MI))
		return;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		struct loop loop = LOOP_NONE;
		struct stat st;
		struct err e;

		if (unshare(CLONE_NEWNS) < 0 ||
		    !shell("mount --make-rprivate / && mount -t tmpfs none /dev") ||
		    mknod("/dev/loop-control", S_IFCHR | 0600, makedev(10, 237)) < 0)
			_exit(2);
		if (loop_attach(image.fd, 512, false, &loop, &e) < 0)
			_exit(3);
		_exit(stat(loop.path, &st) < 0 || (st.st_mode & 07777) != 0600 ? 4 : 0);
	}
	waitpid(pid, &status, 0);
	CHECK(status == 0, "a missing /dev/loopN is made, mode 0600");
	image_drop(&image);
}

void test_loop(void)
{
	attach_find_detach();
	race_for_devices();
	many_devices();
	device_node_is_missing();
}
