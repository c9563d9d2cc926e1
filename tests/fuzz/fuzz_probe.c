/* sys/probe.c: what libblkid makes of any disk. A LUKS header is never taken for a blank disk. */
#include "disk.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/luks_header.h"
#include "sys/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	auto_close int fd = disk_make(&input);
	struct luks_header header;
	enum luks_probe luks = LUKS_ABSENT;
	struct probe probe;
	struct err e = { 0 }, e_luks = { 0 };

	if (probe_fd(fd, "disk", &probe, &e) < 0) {
		check_error(&e);
		return 0;
	}
	FUZZ_CHECK(memchr(probe.type, 0, sizeof(probe.type)));
	FUZZ_CHECK(memchr(probe.uuid, 0, sizeof(probe.uuid)));
	if (luks_header_read(fd, &luks, &header, &e_luks) == 0 && luks == LUKS_PRESENT)
		FUZZ_CHECK(probe.kind != PROBE_BLANK);
	return 0;
}
