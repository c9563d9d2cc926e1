/* sys/probe: only what was read and is empty is blank. */
#include "sys/probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"

#define SIZE (64 * MI)

static int probe_path(const char *path, struct probe *probe, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, 1, "open") : probe_fd(fd, path, probe, e);
}

static const struct {
	const char *type, *command;
} known[] = {
	{ "ext4", "mkfs.ext4 -q -F %s" },
	{ "xfs", "truncate -s 320M %1$s && mkfs.xfs -q -f %1$s" },
	{ "swap", "mkswap -q %s" },
	{ "crypto_LUKS", "echo x | cryptsetup luksFormat -q --pbkdf pbkdf2 "
			 "--pbkdf-force-iterations 1000 %s -" },
	/* A partition of type 83 from sector 2048 on, and the two bytes that end the sector. */
	{ "dos", "printf '\\0\\40\\41\\0\\203\\4\\2\\10\\0\\10\\0\\0\\0\\370\\1\\0' | "
		 "dd of=%1$s bs=1 seek=446 conv=notrunc status=none; printf '\\125\\252' | "
		 "dd of=%1$s bs=1 seek=510 conv=notrunc status=none" },
};

static void signatures(void)
{
	struct image image;
	struct probe probe;
	struct err e = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		char command[512];

		if (!image_make(&image, "known", SIZE))
			return;
		if (i == 0) {
			OK(probe_fd(image.fd, "blank", &probe, &e), "probe of zeros");
			CHECK(probe.kind == PROBE_BLANK, "zeros are blank");
		}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(command, sizeof(command), known[i].command, image.path);
#pragma GCC diagnostic pop
		CHECK(shell("%s", command), "made: %s", known[i].type);
		OK(probe_fd(image.fd, "known", &probe, &e), "probe of %s", known[i].type);
		CHECK(probe.kind == PROBE_KNOWN && strcmp(probe.type, known[i].type) == 0,
		      "%s is known (as '%s')", known[i].type, probe.type);
		image_drop(&image);
	}
}

/* A superblock that no longer fits its checksum is damage, not emptiness. */
static void damaged_superblocks(void)
{
	static const struct {
		const char *type, *command;
		uint64_t size;
		off_t at;
	} made[] = {
		{ "ext4", "mkfs.ext4 -q -F", SIZE, 1024 + 0x4 },
		{ "xfs", "mkfs.xfs -q -f", 320 * MI, 108 /* label */ },
	};
	struct image image;
	struct probe probe;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		unsigned char byte = 0;

		if (!image_make(&image, "badsum", made[i].size))
			return;
		CHECK(shell("%s %s", made[i].command, image.path), "made: %s", made[i].type);
		CHECK(pread(image.fd, &byte, 1, made[i].at) == 1 && (byte ^= 1, true) &&
			      pwrite(image.fd, &byte, 1, made[i].at) == 1,
		      "its superblock is damaged");
		memset(&probe, 0, sizeof(probe));
		int rc = probe_fd(image.fd, "badsum", &probe, &e);
		CHECK(rc < 0 || probe.kind == PROBE_KNOWN,
		      "a damaged %s superblock is not blank (answer %d, '%s')", made[i].type, rc,
		      probe.type);
		image_drop(&image);
	}
}

static void odd_sizes(void)
{
	struct image image;
	struct probe probe;
	struct err e = { 0 };

	if (!image_make(&image, "odd", MI))
		return;
	static const off_t sizes[] = { 4096, 100 * 1024, 1440 * 1024 };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CHECK(ftruncate(image.fd, sizes[i]) == 0, "%lld bytes", (long long)sizes[i]);
		OK(probe_fd(image.fd, "odd", &probe, &e), "a small image is probed");
		CHECK(probe.kind == PROBE_BLANK, "and blank");
	}
	CHECK(ftruncate(image.fd, 0) == 0, "0 bytes");
	REFUSED(probe_fd(image.fd, "odd", &probe, &e), ERR_FAILED_PRECONDITION, "empty",
		"nothing at all is not blank");
	image_drop(&image);
}

/* A device of dm-linear with one range of dm-error (sectors). */
static void read_errors(void)
{
	static const struct {
		unsigned from, count;
	} bad[] = { { 0, 131072 }, { 0, 8 },	      { 8, 8 },	     { 128, 8 },
		    { 2040, 8 },   { 131072 - 8, 8 }, { 130000, 8 }, { 24, 104 } };
	struct image image;
	struct loop loop = LOOP_NONE;
	struct probe probe;
	struct err e = { 0 };

	if (!image_make(&image, "errors", SIZE))
		return;
	OK(loop_attach(image.fd, 512, false, &loop, &e), "attached");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		unsigned end = bad[i].from + bad[i].count, all = SIZE / 512;
		char table[512] = "";
		int used = 0;

		if (bad[i].from)
			used += snprintf(table, sizeof(table), "0 %u linear %s 0\\n", bad[i].from,
					 loop.path);
		used += snprintf(table + used, sizeof(table) - (size_t)used, "%u %u error\\n",
				 bad[i].from, bad[i].count);
		if (end < all)
			snprintf(table + used, sizeof(table) - (size_t)used,
				 "%u %u linear %s %u\\n", end, all - end, loop.path, end);
		CHECK(shell("printf '%s' | dmsetup create systest-errors --noudevsync", table),
		      "a device with read errors at sectors %u to %u", bad[i].from, end);
		shell("dmsetup mknodes systest-errors");
		REFUSED(probe_path("/dev/mapper/systest-errors", &probe, &e),
			ERR_FAILED_PRECONDITION, "cannot", "read errors are not blank");
		CHECK(shell("dmsetup remove --retry --noudevsync systest-errors"), "removed");
		shell("rm -f /dev/mapper/systest-errors");
	}
	loop_close(&loop);
	image_drop(&image);
}

/* Two things at once: nobody can say which one counts. */
static void ambivalent(void)
{
	struct image image;
	struct probe probe;
	struct err e = { 0 };

	if (!image_make(&image, "two", SIZE))
		return;
	/* libblkid knows the magic of btrfs at byte 65600. */
	CHECK(shell("mkfs.ext4 -q -F %s && printf _BHRfS_M | dd of=%s bs=1 seek=65600 conv=notrunc "
		    "status=none",
		    image.path, image.path),
	      "ext4 with a second magic");
	memset(&probe, 0, sizeof(probe));
	int rc = probe_fd(image.fd, "two", &probe, &e);
	CHECK(rc < 0 || probe.kind == PROBE_KNOWN, "two signatures are not blank (answer %d, '%s')",
	      rc, probe.type);
	image_drop(&image);
}

void test_probe(void)
{
	signatures();
	damaged_superblocks();
	odd_sizes();
	read_errors();
	ambivalent();
}
