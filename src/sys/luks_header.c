/* The two copies of a LUKS2 header. */
#include "sys/luks_header.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/mem.h"

#define BINARY_BYTES 4096u
#define LARGEST_BYTES (4u << 20)

static const unsigned char primary_magic[6] = { 'L', 'U', 'K', 'S', 0xba, 0xbe };
static const unsigned char secondary_magic[6] = { 'S', 'K', 'U', 'L', 0xba, 0xbe };

/* The sizes that a header can have; the second copy lies right behind the first. */
static const uint64_t sizes[] = { 0x4000,  0x8000,   0x10000,  0x20000, 0x40000,
				  0x80000, 0x100000, 0x200000, 0x400000 };

/* Places in the binary header. */
enum {
	AT_VERSION = 6,
	AT_SIZE = 8,
	AT_SEQID = 16,
	AT_ALGORITHM = 72,
	AT_UUID = 168,
	AT_OFFSET = 256,
	AT_CHECKSUM = 448,
	UUID_BYTES = 40,
	CHECKSUM_BYTES = 64,
};

struct copy {
	bool found;  /* the magic is there */
	bool intact; /* and the checksum is right */
	uint64_t size, seqid;
	char uuid[UUID_BYTES + 1];
};

static uint64_t be64_at(const unsigned char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return be64toh(value);
}

static unsigned version_of(const unsigned char *header)
{
	return (unsigned)header[AT_VERSION] << 8 | header[AT_VERSION + 1];
}

/* Reads exactly `size` bytes; a shorter file is "not there", not an error. */
static int read_at(int fd, void *bytes, size_t size, uint64_t at, bool *ret_there, struct err *e)
{
	size_t used = 0;

	while (used < size) {
		ssize_t got = pread(fd, (char *)bytes + used, size - used, (off_t)(at + used));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(e, ERR_FAILED_PRECONDITION,
				       "cannot read the LUKS header: %s; nothing is changed",
				       strerror(errno));
		if (got == 0)
			break;
		used += (size_t)got;
	}
	*ret_there = used == size;
	return 0;
}

static bool checksum_is_right(unsigned char *header, uint64_t size)
{
	unsigned char stored[HASH_SHA256_BYTES], computed[HASH_SHA256_BYTES];

	if (memcmp(header + AT_ALGORITHM, "sha256", sizeof("sha256")) != 0)
		return false;
	memcpy(stored, header + AT_CHECKSUM, sizeof(stored));
	memset(header + AT_CHECKSUM, 0, CHECKSUM_BYTES);
	hash_sha256(header, size, computed);
	return memcmp(stored, computed, sizeof(stored)) == 0;
}

static int read_copy(int fd, uint64_t at, const unsigned char magic[6], struct copy *ret_copy,
		     struct err *e)
{
	unsigned char binary[BINARY_BYTES];
	bool there;

	memset(ret_copy, 0, sizeof(*ret_copy));
	if (read_at(fd, binary, sizeof(binary), at, &there, e) < 0)
		return -1;
	if (!there || memcmp(binary, magic, sizeof(primary_magic)) != 0)
		return 0;
	ret_copy->found = true;
	ret_copy->size = be64_at(binary + AT_SIZE);
	ret_copy->seqid = be64_at(binary + AT_SEQID);
	memcpy(ret_copy->uuid, binary + AT_UUID, UUID_BYTES);
	if (version_of(binary) != 2 || be64_at(binary + AT_OFFSET) != at ||
	    ret_copy->size < sizes[0] || ret_copy->size > LARGEST_BYTES)
		return 0;

	auto_free unsigned char *whole = xcalloc(1, ret_copy->size);
	if (read_at(fd, whole, ret_copy->size, at, &there, e) < 0)
		return -1;
	ret_copy->intact = there && checksum_is_right(whole, ret_copy->size);
	return 0;
}

/*
 * An intact primary copy says where the secondary is; without one it is looked for in every place
 * that it can have. What lies in another place is the rest of an earlier header.
 */
static int find_secondary(int fd, const struct copy *first, struct copy *ret_copy, struct err *e)
{
	if (first->intact)
		return read_copy(fd, first->size, secondary_magic, ret_copy, e);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		if (read_copy(fd, sizes[i], secondary_magic, ret_copy, e) < 0)
			return -1;
		if (ret_copy->found)
			return 0;
	}
	return 0;
}

static int judge(const struct copy *first, const struct copy *second, struct err *e)
{
	const char *advice = "nothing is changed; `lcw volume restore-header` brings it back";

	if (!first->intact && !second->intact)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "both copies of the LUKS2 header are damaged: %s", advice);
	if (!first->intact)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the primary LUKS2 header is %s, the secondary copy is intact: %s",
			       first->found ? "damaged" : "gone", advice);
	if (!second->intact)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "the secondary LUKS2 header is %s, the primary copy is intact: %s",
			       second->found ? "damaged" : "gone", advice);
	if (strcmp(first->uuid, second->uuid) != 0)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the two copies of the LUKS2 header have different UUIDs (%s and %s): %s",
			first->uuid, second->uuid, advice);
	if (first->seqid != second->seqid)
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the two copies of the LUKS2 header are of different age (a header update "
			"was interrupted): %s",
			advice);
	return 0;
}

int luks_header_read(int fd, enum luks_probe *ret_probe, struct luks_header *ret_header,
		     struct err *e)
{
	unsigned char start[BINARY_BYTES] = { 0 };
	struct copy first, second;
	bool there;

	memset(ret_header, 0, sizeof(*ret_header));
	*ret_probe = LUKS_ABSENT;
	if (read_at(fd, start, 592, 0, &there, e) < 0)
		return -1;
	/* LUKS1 has one copy, and no checksum (On-Disk Format 1.2.3: version at 6, uuid at 168). */
	if (there && memcmp(start, primary_magic, sizeof(primary_magic)) == 0 &&
	    version_of(start) == 1) {
		*ret_probe = LUKS_PRESENT;
		ret_header->version = 1;
		snprintf(ret_header->uuid, sizeof(ret_header->uuid), "%.39s",
			 (const char *)start + AT_UUID);
		return 0;
	}
	if (read_copy(fd, 0, primary_magic, &first, e) < 0 ||
	    find_secondary(fd, &first, &second, e) < 0)
		return -1;
	if (!first.found && !second.found)
		return 0;
	if (judge(&first, &second, e) < 0)
		return -1;
	*ret_probe = LUKS_PRESENT;
	ret_header->version = 2;
	snprintf(ret_header->uuid, sizeof(ret_header->uuid), "%.39s", first.uuid);
	return 0;
}

int luks_header_text(int fd, char **ret_text, struct err *e)
{
	struct copy first;
	bool there;

	*ret_text = NULL;
	if (read_copy(fd, 0, primary_magic, &first, e) < 0)
		return -1;
	if (!first.intact)
		return 0;
	size_t size = first.size - BINARY_BYTES;
	auto_free char *text = xcalloc(1, size + 1);
	if (read_at(fd, text, size, BINARY_BYTES, &there, e) < 0)
		return -1;
	if (there)
		*ret_text = TAKE(text, NULL);
	return 0;
}

int luks_header_is_mendable(int fd, bool *ret_yes, struct luks_header *ret_header, struct err *e)
{
	struct copy first, second;

	*ret_yes = false;
	if (read_copy(fd, 0, primary_magic, &first, e) < 0 ||
	    find_secondary(fd, &first, &second, e) < 0)
		return -1;
	const struct copy *good = first.intact ? &first : &second;
	if (!good->intact || (second.intact && strcmp(good->uuid, second.uuid) != 0))
		return 0;
	*ret_yes = !first.intact || !second.intact || first.seqid != second.seqid;
	memset(ret_header, 0, sizeof(*ret_header));
	ret_header->version = 2;
	snprintf(ret_header->uuid, sizeof(ret_header->uuid), "%.39s", good->uuid);
	return 0;
}
