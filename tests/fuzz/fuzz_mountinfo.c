/* sys/mountinfo.c: the text of /proc/self/mountinfo. */
#include "input.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sys/mountinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	auto_free char *text = input_text(&input);
	auto_mount_table struct mount_table table = { 0 };
	struct err e = { 0 };

	if (mount_table_parse(text, &table, &e) < 0) {
		check_error(&e);
		return 0;
	}
	for (size_t i = 0; i < table.count; i++) {
		const struct mount_entry *entry = &table.entries[i];
		const struct mount_entry *top = mount_table_at(&table, entry->target);

		FUZZ_CHECK(entry->root && entry->type && entry->source && entry->super_options);
		FUZZ_CHECK(top && strcmp(top->target, entry->target) == 0 && top >= entry);
		mount_table_covering(&table, entry->target);
		mount_has_option(entry->options, "ro");
		mount_has_option(entry->super_options, entry->options);
	}
	return 0;
}
