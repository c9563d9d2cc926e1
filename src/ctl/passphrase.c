/* Passphrases from a descriptor or from the person at the terminal. */
#include "ctl/passphrase.h"

#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { PASSPHRASE_MAX = 64 * 1024 };

/* Reads to the end of the file; at a terminal to the end of the line, which is not part of it. */
static int read_passphrase(int fd, struct secret **ret_secret, struct err *e)
{
	static char bytes[PASSPHRASE_MAX];
	size_t used = 0;
	bool line = isatty(fd);

	while (used < sizeof(bytes)) {
		ssize_t got = read(fd, bytes + used, line ? 1 : sizeof(bytes) - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, errno, "cannot read the passphrase from descriptor %d",
				       fd);
		if (got == 0 || (line && bytes[used] == '\n'))
			break;
		used += (size_t)got;
	}
	*ret_secret = secret_new(bytes, used);
	secret_wipe(bytes, sizeof(bytes));
	if (used == 0 || used == sizeof(bytes))
		return err_set(e, ERR_INVALID_ARGUMENT, "the passphrase is %s",
			       used ? "too long" : "empty");
	return 0;
}

static int ask_passphrase(const char *what, struct secret **ret_secret, struct err *e)
{
	struct termios before, quiet;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "there is no terminal to ask for the %s: give a descriptor, such as "
			       "--passphrase-fd=0",
			       what);
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	fprintf(stderr, "%s: ", what);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	int rc = read_passphrase(STDIN_FILENO, ret_secret, e);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputs("\n", stderr);
	return rc;
}

int ctl_passphrase(int fd, const char *what, struct secret **ret_secret, struct err *e)
{
	return fd >= 0 ? read_passphrase(fd, ret_secret, e) : ask_passphrase(what, ret_secret, e);
}
