/* Which rclone is good enough. */
#include "s3/rclone_version.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "s3/rclone_environment.h"
#include "s3/rclone_user.h"

#define NOTE "rclone.checked"

enum { ANSWER_MAX = 4096, ANSWER_MS = 60 * 1000 };

/* "1.76.0" as a number that compares; 0 for anything else. */
static unsigned long number_of(const char *text)
{
	unsigned long number = 0;

	for (int part = 0; part < 3; part++) {
		char *end;
		unsigned long value = strtoul(text, &end, 10);

		if (end == text || value > 999 || (part < 2 && *end != '.'))
			return 0;
		number = number * 1000 + value;
		text = end + 1;
	}
	return number;
}

int rclone_version_check(const char *answer, struct err *e)
{
	static const char first[] = "rclone v";
	size_t length = strlen(first);
	unsigned long found = strncmp(answer, first, length) == 0 ? number_of(answer + length) : 0;

	if (found >= number_of(RCLONE_OLDEST))
		return 0;
	if (!found)
		return err_set(e, ERR_FAILED_PRECONDITION, "it does not say which rclone it is");
	return err_set(e, ERR_FAILED_PRECONDITION,
		       "it is version %.*s, and rclone before " RCLONE_OLDEST
		       " loses data: install a newer one and name it with --rclone",
		       (int)strcspn(answer + length, " \n"), answer + length);
}

static int ask(const char *program, struct err *e)
{
	const char *const argv[] = { program, "version", "--config=/dev/null", NULL };
	auto_proc_answer struct proc_answer answer = { 0 };
	char *environment[RCLONE_ENVIRONMENT_MAX];

	rclone_environment_fill(environment, NULL, 0);
	const struct proc_question question = {
		.argv = argv,
		.environment = (const char *const *)environment,
		.input_fd = -1,
		.kept_fd = -1,
		.answer_limit = ANSWER_MAX,
		.timeout_ms = ANSWER_MS,
		.user = RCLONE_USER,
	};
	int rc = proc_ask(&question, &answer, e);
	rclone_environment_free(environment);
	return rc < 0 ? -1 : rclone_version_check(answer.text, e);
}

int rclone_version_ensure(const char *program, const char *run_dir, struct err *e)
{
	auto_close int dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_free char *noted = NULL;
	struct stat st;

	if (dir < 0 || stat(program, &st) < 0)
		return err_set(e, ERR_FAILED_PRECONDITION, "cannot use the rclone '%s': %s",
			       program, strerror(errno));
	auto_free char *now = xasprintf("%s %lld %lld.%ld\n", program, (long long)st.st_size,
					(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	if (fd_read_file(dir, NOTE, ANSWER_MAX, &noted) == 0 && strcmp(noted, now) == 0)
		return 0;
	if (ask(program, e) < 0)
		return err_wrap(e, "cannot use the rclone '%s'", program);
	int rc = fd_write_file_atomic(dir, NOTE, now);
	return rc < 0 ? err_sys(e, -rc, "cannot note which rclone was checked") : 0;
}
