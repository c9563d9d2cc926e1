/* volume/record.c: what is read from volume.json is written back the same. */
#include "input.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "volume/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	auto_free char *text = input_text(&input);
	auto_record struct volume_record record = { 0 }, again = { 0 };
	struct err e = { 0 };

	if (volume_record_parse(text, "vol-1", "volume.json", &record, &e) < 0) {
		check_error(&e);
		FUZZ_CHECK(e.code == ERR_FAILED_PRECONDITION);
		return 0;
	}
	/* What the engine relies on. */
	FUZZ_CHECK(record.state >= VOLUME_RESERVED && record.state <= VOLUME_CREATING);
	FUZZ_CHECK(record.state != VOLUME_FORMATTED || strlen(record.luks_uuid) == 36);
	FUZZ_CHECK(record.params.value[PARAM_STORAGE_BACKEND]);

	auto_free char *written = volume_record_format(&record);
	FUZZ_CHECK(volume_record_parse(written, "vol-1", "volume.json", &again, &e) == 0);
	auto_free char *rewritten = volume_record_format(&again);
	FUZZ_CHECK(strcmp(written, rewritten) == 0);
	return 0;
}
