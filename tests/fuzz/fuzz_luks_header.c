/* sys/luks_header.c: any disk is told apart without a crash, and looking changes nothing. */
#include "disk.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/luks_header.h"
#include "sys/luks_requirements.h"

static const unsigned char magic[6] = { 'L', 'U', 'K', 'S', 0xba, 0xbe };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	auto_close int fd = disk_make(&input);
	struct luks_header header;
	enum luks_probe probe;
	unsigned char start[592] = { 0 };
	struct err e = { 0 };
	bool whole = pread(fd, start, sizeof(start), 0) == sizeof(start);

	if (luks_header_read(fd, &probe, &header, &e) < 0) {
		check_error(&e);
		FUZZ_CHECK(e.code == ERR_FAILED_PRECONDITION);
		return 0;
	}
	if (probe == LUKS_ABSENT) {
		/* The rule that keeps data: what has the magic is never "absent". */
		FUZZ_CHECK(!whole || memcmp(start, magic, sizeof(magic)) != 0);
	} else {
		FUZZ_CHECK(header.version == 1 || header.version == 2);
		FUZZ_CHECK(strlen(header.uuid) < sizeof(header.uuid));
	}
	if (luks_requirements_check(fd, "disk", &e) < 0) {
		check_error(&e);
		FUZZ_CHECK(e.code == ERR_FAILED_PRECONDITION);
	}
	return 0;
}
