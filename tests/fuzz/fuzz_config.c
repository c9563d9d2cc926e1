/* config.c: the command line of the driver, one word per line. */
#include "input.h"

#include <stdlib.h>

#include "config.h"

enum { WORDS_MAX = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	char *argv[WORDS_MAX + 1] = { 0 }, *words[WORDS_MAX];
	enum config_action action;
	struct config config;
	struct err e = { 0 };
	int argc = 0;

	while (input.left && argc < WORDS_MAX) {
		words[argc] = input_line(&input);
		argv[argc] = words[argc];
		argc++;
	}
	if (config_parse(argc, argv, &config, &action, &e) < 0) {
		check_error(&e);
		FUZZ_CHECK(e.code == ERR_INVALID_ARGUMENT);
	} else if (action == CONFIG_RUN) {
		FUZZ_CHECK(config.socket_path[0] == '/' && config.state_dir[0] == '/');
		FUZZ_CHECK(config.node_id[0] && config.allow_count <= ALLOW_PATHS_MAX);
	}
	while (argc > 0)
		free(words[--argc]);
	return 0;
}
