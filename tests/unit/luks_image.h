/* A LUKS2 image as a plain file: what needs no device-mapper. */
#ifndef UNIT_LUKS_IMAGE_H
#define UNIT_LUKS_IMAGE_H

#include <string.h>

#include "base/secret.h"
#include "folder.h"
#include "sys/image.h"
#include "sys/luks.h"

#define LUKS_IMAGE_UUID "11111111-2222-4333-8444-555555555555"
#define LUKS_IMAGE_NAME "luks-v.img"
#define LUKS_IMAGE_BYTES (20ull << 20)

/* Fast on purpose: what is tested is not the strength. */
static const struct luks_params luks_image_params = {
	.cipher = "aes-xts-plain64",
	.key_bits = 512,
	.sector_size = 4096,
	.pbkdf = "pbkdf2",
	.iterations = 1000,
};

static inline struct secret *secret_of(const char *text)
{
	return secret_new(text, strlen(text));
}

/* An image in the folder, with one keyslot; its descriptor, open for reading and writing. */
static inline int luks_image_make(const struct folder *folder, const char *uuid,
				  const char *passphrase)
{
	auto_secret struct secret *secret = secret_of(passphrase);
	struct err e = { 0 };
	char path[64];
	int fd;

	assert_int_equal(image_create(folder->fd, LUKS_IMAGE_NAME, LUKS_IMAGE_BYTES, true, &e), 0);
	assert_int_equal(image_open(folder->fd, LUKS_IMAGE_NAME, O_RDWR, &fd, &e), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (luks_format(path, uuid, &luks_image_params, secret, &e) < 0)
		fail_msg("%s", e.msg);
	return fd;
}

static inline bool luks_image_opens(int fd, const char *passphrase)
{
	auto_secret struct secret *secret = secret_of(passphrase);
	struct err e = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return luks_test(path, secret, &e) == 0;
}

static inline void luks_image_damage(int fd, off_t at)
{
	unsigned char byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0xff;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* Where the JSON of the two copies lies. */
enum { IN_PRIMARY = 5000, IN_SECONDARY = 0x4000 + 5000 };

#endif
