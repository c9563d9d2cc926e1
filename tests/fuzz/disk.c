/* A disk in memory. */
#include "disk.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum {
	UNIT = 4096,
	UNITS_MAX = 2048,
	FROM_END = 1,
	FIX_CHECKSUM = 2,
	AT_SIZE = 8,
	AT_CHECKSUM = 448,
	CHECKSUM_BYTES = 64
};

/* As luks_header.c wants it: SHA-256 over the whole header with an empty checksum. */
static void fix_checksum(int fd, off_t at)
{
	unsigned char digest[CHECKSUM_BYTES] = { 0 };
	uint64_t size;

	if (pread(fd, &size, sizeof(size), at + AT_SIZE) != sizeof(size))
		return;
	size = be64toh(size);
	if (size < AT_CHECKSUM + CHECKSUM_BYTES || size > (4u << 20))
		return;
	unsigned char *header = xcalloc(1, size);
	if (pwrite(fd, digest, sizeof(digest), at + AT_CHECKSUM) == sizeof(digest) &&
	    pread(fd, header, size, at) == (ssize_t)size) {
		hash_sha256(header, size, digest);
		FUZZ_CHECK(pwrite(fd, digest, sizeof(digest), at + AT_CHECKSUM) == sizeof(digest));
	}
	free(header);
}

static void write_piece(int fd, off_t disk_size, struct input *input, off_t *ret_header)
{
	uint8_t flags = input_u8(input);
	off_t at = (off_t)input_u8(input) << 16;
	size_t size;

	at |= (off_t)input_u16(input);
	size_t wanted = input_u16(input);
	const uint8_t *bytes = input_bytes(input, wanted, &size);
	if (flags & FROM_END)
		at = disk_size - at;
	if (at < 0 || at > disk_size || size > (size_t)(disk_size - at))
		return;
	FUZZ_CHECK(pwrite(fd, bytes, size, at) == (ssize_t)size);
	if (flags & FIX_CHECKSUM)
		*ret_header = at;
}

int disk_make(struct input *input)
{
	enum { HEADERS = 4 };
	off_t size = (off_t)(input_u16(input) % UNITS_MAX) * UNIT;
	off_t headers[HEADERS];
	size_t count = 0;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && ftruncate(fd, size) == 0);
	while (input->left) {
		off_t header = -1;

		write_piece(fd, size, input, &header);
		if (header >= 0 && count < HEADERS)
			headers[count++] = header;
	}
	for (size_t i = 0; i < count; i++)
		fix_checksum(fd, headers[i]);
	return fd;
}
