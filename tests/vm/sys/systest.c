/*
 * systest FOLDER [PART]...: src/sys against a real kernel, as root. FOLDER lies on a file system
 * that can reserve space. Prints one line per check; the exit status is 1 when one failed.
 */
#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"
#include "check.h"
#include "sys/fs.h"

int scratch_fd = -1;
char scratch[128];
const struct secret *passphrase, *wrong;
extern unsigned checks, failures;

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {
	{ "loop", test_loop },	 { "luks", test_luks }, { "header", test_header },
	{ "probe", test_probe }, { "fs", test_fs },	{ "mount", test_mount },
	{ "proc", test_proc },
};

/* What other_process() asks for: one call, and its code as exit status. */
static int one_call(const char *verb, const char *first, const char *second)
{
	struct err e = { 0 };
	int rc = -1;

	/* What another process put into its session keyring is not for us. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0)
		return 99;
	if (strcmp(verb, "resize") == 0)
		rc = luks_resize(first, &e);
	else if (strcmp(verb, "close") == 0)
		rc = luks_close(first, &e);
	else if (strcmp(verb, "open") == 0)
		rc = luks_open(first, second, false, false, passphrase, &e);
	else if (strcmp(verb, "open-wrong") == 0)
		rc = luks_open(first, second, false, false, wrong, &e);
	return rc < 0 ? (int)e.code : 0;
}

static bool wanted(const char *name, char *const words[])
{
	if (!*words)
		return true;
	for (; *words; words++)
		if (strcmp(*words, name) == 0)
			return true;
	return false;
}

int main(int argc, char *argv[])
{
	passphrase = secret_new(PASSPHRASE, strlen(PASSPHRASE));
	wrong = secret_new("not it", 6);
	if (argc == 5 && strcmp(argv[1], "--call") == 0)
		return one_call(argv[2], argv[3], argv[4]);
	if (argc < 2) {
		fprintf(stderr, "usage: systest FOLDER [PART]...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(scratch, sizeof(scratch), "%s", argv[1]);
	scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (scratch_fd < 0) {
		perror(scratch);
		return 2;
	}
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (!wanted(parts[i].name, argv + 2))
			continue;
		printf("# %s\n", parts[i].name);
		parts[i].run();
	}
	printf("# %u checks, %u failed\n", checks, failures);
	return failures || !checks;
}
