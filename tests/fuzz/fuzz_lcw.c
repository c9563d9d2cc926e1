/* ctl/command.c: the words of lcw, one per line; no command is run. */
#include "input.h"

#include <stdlib.h>

#include "ctl/command.h"

enum { WORDS_MAX = 24 };

static void check_parsed(const struct ctl *ctl, int count, char *words[])
{
	const struct ctl_command *command = NULL;
	struct err e = { 0 };

	FUZZ_CHECK(!ctl->state_dir || ctl->state_dir[0] == '/');
	FUZZ_CHECK(!ctl->local_path || ctl->local_path[0] == '/');
	FUZZ_CHECK(ctl->passphrase_fd >= -1);
	FUZZ_CHECK(ctl->output >= CTL_TABLE && ctl->output <= CTL_NAME);
	if (ctl_command_find(count, words, &command, &e) < 0)
		check_error(&e);
	else
		FUZZ_CHECK(command->run && count >= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	char *argv[WORDS_MAX + 1] = { 0 }, *words[WORDS_MAX];
	struct ctl ctl = { .passphrase_fd = -1 };
	struct err e = { 0 };
	int argc = 0, count = 0;

	while (input.left && argc < WORDS_MAX) {
		words[argc] = input_line(&input);
		argv[argc] = words[argc];
		argc++;
	}
	if (ctl_parse(argc, argv, &ctl, &count, &e) < 0) {
		check_error(&e);
		FUZZ_CHECK(e.code == ERR_INVALID_ARGUMENT);
	} else {
		FUZZ_CHECK(count <= argc);
		check_parsed(&ctl, count, argv);
	}
	while (argc > 0)
		free(words[--argc]);
	return 0;
}
