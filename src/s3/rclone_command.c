/* Running rclone for one question. */
#include "s3/rclone_command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "s3/rclone_environment.h"
#include "s3/rclone_error.h"
#include "s3/rclone_user.h"

enum { WORDS_MAX = 32 };

/* The descriptor to read `input` from; -1 when there is none. */
static int open_input(const char *input, int *ret_fd, struct err *e)
{
	if (!input)
		return 0;
	auto_close int fd = memfd_create("input", MFD_CLOEXEC);
	int rc = fd < 0 ? -errno : fd_write_all(fd, input, strlen(input));

	if (rc == 0 && lseek(fd, 0, SEEK_SET) < 0)
		rc = -errno;
	if (rc < 0)
		return err_sys(e, -rc, "cannot prepare the input of rclone");
	*ret_fd = TAKE(fd, -1);
	return 0;
}

int rclone_ask(const struct rclone_tool *tool, const char *const words[], const char *input,
	       size_t answer_limit, int64_t timeout_ms, struct proc_answer *ret_answer,
	       struct err *e)
{
	static const char *const habits[] = {
		"--retries=1",
		"--low-level-retries=2",
		"--contimeout=5s",
		"--timeout=15s",
		"--stats=0",
		"--log-level=NOTICE",
		"--use-json-log=false",
		"--ask-password=false",
	};
	char *environment[RCLONE_ENVIRONMENT_MAX];
	const char *argv[WORDS_MAX + ARRAY_LEN(habits) + 3];
	char config[64];
	auto_close int input_fd = -1;
	size_t count = 0;

	snprintf(config, sizeof(config), "--config=/dev/fd/%d", tool->config_fd);
	argv[count++] = tool->program;
	for (size_t i = 0; words[i] && i < WORDS_MAX; i++)
		argv[count++] = words[i];
	argv[count++] = config;
	for (size_t i = 0; i < ARRAY_LEN(habits); i++)
		argv[count++] = habits[i];
	argv[count] = NULL;
	if (open_input(input, &input_fd, e) < 0)
		return -1;

	rclone_environment_fill(environment, NULL, 0);
	const struct proc_question question = {
		.argv = argv,
		.environment = (const char *const *)environment,
		.input_fd = input_fd,
		.kept_fd = tool->config_fd,
		.answer_limit = answer_limit,
		.timeout_ms = timeout_ms,
		.user = RCLONE_USER,
	};
	int rc = proc_ask(&question, ret_answer, e);
	rclone_environment_free(environment);
	if (rc < 0 && e->code == ERR_DEADLINE_EXCEEDED)
		return err_set(e, ERR_UNAVAILABLE,
			       "the S3 server '%s' did not answer `rclone %s` within %lld s",
			       tool->endpoint ? tool->endpoint : "AWS", words[0],
			       (long long)(timeout_ms / 1000));
	return rc;
}

int rclone_answer_error(const struct rclone_tool *tool, const struct proc_answer *answer,
			struct err *e)
{
	return rclone_refused(answer->errors, tool->endpoint, tool->bucket, e);
}
