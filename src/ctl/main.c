/* lcw: look at and mend volumes of this node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "ctl/command.h"

static int run(const struct ctl *ctl, int count, char *words[], struct err *e)
{
	const struct ctl_command *command;

	if (ctl_command_find(count, words, &command, e) < 0)
		return -1;
	if (count - 2 != command->count)
		return err_set(e, ERR_INVALID_ARGUMENT, "`lcw %s %s` takes %s (see --help)",
			       command->group, command->name,
			       command->count ? command->words : "no names");
	return command->run(ctl, words + 2, e);
}

static int status_of(const struct err *e)
{
	switch (e->code) {
	case ERR_INVALID_ARGUMENT:
		return CTL_USAGE;
	case ERR_ABORTED:
		return CTL_BUSY;
	default:
		return CTL_FAILED;
	}
}

/* The pod of a node sets these, so that `kubectl exec POD -- lcw ...` looks where its driver does.
 */
static const char *set_or(const char *variable, const char *initial)
{
	const char *value = getenv(variable);

	return value && *value == '/' ? value : initial;
}

int main(int argc, char *argv[])
{
	static char host_name[256];
	struct ctl ctl = { .state_dir = set_or("LCW_STATE_DIR", "/var/lib/lukscryptwalker"),
			   .run_dir = set_or("LCW_RUN_DIR", "/run/lukscryptwalker"),
			   .host_root = set_or("LCW_HOST_ROOT", "/"),
			   .kubelet_dir = set_or("LCW_KUBELET_DIR", "/var/lib/kubelet"),
			   .node_id = getenv("KUBE_NODE_NAME"),
			   .passphrase_fd = -1,
			   .new_passphrase_fd = -1 };
	struct err e = { 0 };
	int count = 0, status = -1;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			ctl_help();
			return CTL_OK;
		}
		if (strcmp(argv[i], "--version") == 0)
			return puts("lcw " PROGRAM_VERSION) < 0;
	}
	/* As the driver does; only a warning to swap, which it would log, is of no use here. */
	int ignored = secret_protect_process();
	(void)ignored;
	log_setup(LOG_TEXT, LOG_WARN);
	umask(0022);
	gethostname(host_name, sizeof(host_name) - 1);
	if (!ctl.node_id || !*ctl.node_id)
		ctl.node_id = host_name;
	if (ctl_parse(argc, argv, &ctl, &count, &e) == 0)
		status = run(&ctl, count, argv, &e);
	if (status >= 0)
		return status;
	fprintf(stderr, "lcw: %s\n", e.msg);
	return status_of(&e);
}
