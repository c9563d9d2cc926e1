/* volume/params.c: lines "key=value". What is accepted is accepted again, with the same meaning. */
#include "input.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "volume/params.h"

enum { PAIRS_MAX = 48 };

/* Every typed view must be able to read what was accepted. */
static void look(const struct params *params)
{
	struct luks_params luks;
	uint32_t group;
	unsigned mode = 0;

	if (params_backend(params) == BACKEND_LOCAL) {
		params_luks(params, &luks);
		FUZZ_CHECK(luks.key_bits > 0 && luks.sector_size >= 512);
		params_fs_type(params);
		params_thin(params);
		params_fs_group(params, &group);
		if (params_fs_mode(params, &mode))
			FUZZ_CHECK(mode <= 07777);
		FUZZ_CHECK(params->value[PARAM_LOCAL_PATH][0] == '/');
	}
}

static void check_again(const struct params *params)
{
	struct text_pair pairs[PARAM_COUNT];
	auto_params struct params again = { 0 };
	struct err e = { 0 };
	size_t count = 0;

	for (int i = 0; i < PARAM_COUNT; i++)
		if (params->value[i])
			pairs[count++] = (struct text_pair){ param_rules[i].key, params->value[i] };
	FUZZ_CHECK(params_parse(pairs, count, &again, &e) == 0);
	FUZZ_CHECK(!params_difference(params, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	struct text_pair pairs[PAIRS_MAX];
	auto_params struct params params = { 0 };
	char *lines[PAIRS_MAX];
	size_t count = 0;
	struct err e = { 0 };

	while (input.left && count < PAIRS_MAX) {
		char *line = input_line(&input), *equals = strchr(line, '=');

		if (equals)
			*equals = '\0';
		lines[count] = line;
		pairs[count++] = (struct text_pair){ line, equals ? equals + 1 : "" };
	}
	if (params_parse(pairs, count, &params, &e) < 0) {
		check_error(&e);
		FUZZ_CHECK(e.code == ERR_INVALID_ARGUMENT);
	} else {
		look(&params);
		check_again(&params);
	}
	while (count > 0)
		free(lines[--count]);
	return 0;
}
