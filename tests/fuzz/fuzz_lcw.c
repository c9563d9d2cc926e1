/* ctl/main.c: the words of lcw, one per line; no command is run. */
#include "input.h"

int lcw_main(int argc, char *argv[]);
#define main lcw_main
#include "ctl/main.c" /* NOLINT(bugprone-suspicious-include) */
#undef main

enum { WORDS_MAX = 24 };

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
	if (parse(argc, argv, &ctl, &count, &e) < 0) {
		check_error(&e);
		FUZZ_CHECK(e.code == ERR_INVALID_ARGUMENT);
	} else {
		FUZZ_CHECK(count <= argc);
		FUZZ_CHECK(!ctl.state_dir || ctl.state_dir[0] == '/');
		FUZZ_CHECK(!ctl.local_path || ctl.local_path[0] == '/');
		FUZZ_CHECK(ctl.passphrase_fd >= -1);
	}
	while (argc > 0)
		free(words[--argc]);
	return 0;
}
