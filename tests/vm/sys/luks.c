/* sys/luks and sys/dm on a real kernel, and with the cryptsetup program on the other side. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "sys/image.h"

static bool is_active(const char *name)
{
	struct dm_info info;
	struct err e;
	bool found = false;

	return dm_find(name, &found, &info, &e) == 0 && found;
}

/* Descriptors beyond 0-2 that a started program would inherit. */
static int inheritable(void)
{
	auto_closedir DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		int fd = atoi(entry->d_name), flags = fcntl(fd, F_GETFD);

		count += fd > 2 && flags >= 0 && !(flags & FD_CLOEXEC);
	}
	return count;
}

static void life_of_a_mapping(void)
{
	struct luks_header header;
	struct volume volume;
	struct err e = { 0 };
	enum luks_probe kind;
	bool found;

	int before = inheritable();
	if (!volume_make(&volume, "life", 64 * MI))
		return;
	const struct dm_info *dm = &volume.dm;
	CHECK(dm->size_bytes == 64 * MI, "its size is that of the image without the header");
	CHECK(dm->loop_number == (int)volume.loop_number, "it lies on the loop device");
	CHECK(dm_is_luks(dm, UUID) && !dm_is_luks(dm, "99" UUID), "dm_is_luks compares the UUID");
	CHECK(strcmp(dm->path, "/dev/mapper/systest-life") == 0 && !dm->suspended,
	      "path and state");
	OK(luks_probe(volume.image.path, &kind, &header, &e), "luks_probe of the image");
	CHECK(kind == LUKS_PRESENT && header.version == 2 && strcmp(header.uuid, UUID) == 0 &&
		      header.sector_size == 4096 && header.data_offset_bytes == LUKS_HEADER_BYTES,
	      "luks_probe tells version, UUID, sector size and data offset");
	CHECK(!strstr(shell_line("dmsetup table systest-life"), "logon"),
	      "the key is in no keyring");
	CHECK(inheritable() == before, "no descriptor is left for started programs");

	OK(image_grow(volume.image.fd, 96 * MI + LUKS_HEADER_BYTES, true, &e), "the image grows");
	CHECK(shell("losetup -c /dev/loop%u", volume.loop_number), "the loop device grows");
	CHECK(other_process("resize", "systest-life", "") == 0,
	      "another process resizes without passphrase");
	OK(dm_find("systest-life", &found, &volume.dm, &e), "dm_find");
	CHECK(volume.dm.size_bytes == 96 * MI, "the mapping has the new size");
	OK(luks_resize("systest-life", &e), "resizing again is fine");

	int fd = open(dm->path, O_RDONLY | O_CLOEXEC);
	REFUSED(luks_close("systest-life", &e), ERR_FAILED_PRECONDITION, "in use",
		"a mapping that is open is not closed");
	close(fd);
	CHECK(other_process("close", "systest-life", "") == 0, "another process closes");
	CHECK(!is_active("systest-life") && access("/dev/mapper/systest-life", F_OK) != 0,
	      "the mapping and its node are gone");
	OK(luks_close("systest-life", &e), "closing what is not active is success");
	CHECK(luks_resize("systest-life", &e) < 0, "what is not active cannot be resized");
	image_drop(&volume.image);
}

static void passphrases(void)
{
	struct loop loop = LOOP_NONE;
	struct image image;
	struct err e = { 0 };
	unsigned char sum[32];

	if (!image_make(&image, "pass", 24 * MI))
		return;
	OK(loop_attach(image.fd, 512, false, &loop, &e), "attached");
	struct luks_params small = cheap;
	small.sector_size = 512;
	OK(luks_format(loop.path, UUID, &small, passphrase, &e), "formatted with 512-byte sectors");
	fsync(loop.fd);
	image_sum(&image, sum);
	REFUSED(luks_open(loop.path, "systest-pass", false, false, wrong, &e),
		ERR_PERMISSION_DENIED, "passphrase", "a wrong passphrase does not open");
	REFUSED(luks_test(image.path, wrong, &e), ERR_PERMISSION_DENIED, "passphrase",
		"nor does the test let it pass");
	OK(luks_test(image.path, passphrase, &e), "the right one passes the test");
	CHECK(!is_active("systest-pass"), "nothing is active");
	fsync(loop.fd);
	CHECK(image_has_sum(&image, sum), "nothing was written");
	CHECK(*shell_line("/proc/%d/exe --call open-wrong %s x 2>&1 < /dev/null", getpid(),
			  loop.path) == '\0',
	      "the library prints nothing");
	OK(luks_open(loop.path, "systest-pass", true, true, passphrase, &e), "open for reading");
	CHECK(strstr(shell_line("dmsetup table systest-pass"), "allow_discards") != NULL,
	      "discards are passed when allowed");
	CHECK(atoi(shell_line("blockdev --getro /dev/mapper/systest-pass")) == 1,
	      "it is read-only");
	CHECK(luks_open(loop.path, "systest-pass", false, false, passphrase, &e) < 0,
	      "a name is not used twice");
	OK(luks_close("systest-pass", &e), "closed");
	loop_close(&loop);
	image_drop(&image);
}

/* Our header, opened by their program; and their headers, opened by us. */
static void cryptsetup_program(void)
{
	static const char *const formats[] = {
		"--type luks2 --pbkdf argon2id --pbkdf-memory 32768 --pbkdf-parallel 1 "
		"--pbkdf-force-iterations 4",
		"--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --luks2-metadata-size "
		"64k",
		"--type luks1 --pbkdf-force-iterations 1000",
	};
	struct luks_params argon = { "aes-xts-plain64", 512, 4096, "argon2id", 65536, 4, 1 };
	struct loop loop = LOOP_NONE;
	struct luks_header header;
	struct image image;
	struct err e = { 0 };
	enum luks_probe kind;

	if (!image_make(&image, "cli", 40 * MI))
		return;
	OK(loop_attach(image.fd, 4096, false, &loop, &e), "attached");
	OK(luks_format(loop.path, UUID, &argon, passphrase, &e), "formatted with argon2id, 64 MiB");
	CHECK(shell("printf %%s " PASSPHRASE " | cryptsetup open --key-file - %s systest-cli",
		    loop.path),
	      "cryptsetup opens what we made");
	CHECK(shell("echo written by cryptsetup > /dev/mapper/systest-cli && cryptsetup close "
		    "systest-cli"),
	      "it writes and closes");
	CHECK(other_process("open", loop.path, "systest-cli") == 0, "we open it");
	CHECK(strcmp(shell_line("head -n 1 /dev/mapper/systest-cli"), "written by cryptsetup") == 0,
	      "and read the same");
	OK(luks_close("systest-cli", &e), "closed");
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		CHECK(shell("printf %%s " PASSPHRASE " | cryptsetup luksFormat -q %s %s -",
			    formats[i], loop.path),
		      "cryptsetup makes a header: %s", formats[i]);
		OK(luks_probe(loop.path, &kind, &header, &e), "luks_probe knows it");
		CHECK(kind == LUKS_PRESENT && header.version == (i == 2 ? 1 : 2) &&
			      strcmp(header.uuid,
				     shell_line("cryptsetup luksUUID %s", loop.path)) == 0,
		      "with its version and UUID");
		OK(luks_open(loop.path, "systest-cli", false, false, passphrase, &e), "we open it");
		OK(luks_close("systest-cli", &e), "closed");
	}
	loop_close(&loop);
	image_drop(&image);
}

void test_luks(void)
{
	life_of_a_mapping();
	passphrases();
	cryptsetup_program();
}
