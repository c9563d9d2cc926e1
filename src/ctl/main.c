/* lcw: look at and mend volumes of this node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/secret.h"
#include "ctl/ctl.h"

static const char help[] =
	"usage: lcw volume list [options]\n"
	"       lcw volume show ID [options]\n"
	"       lcw volume adopt ID [--local-path=DIR] [--passphrase-fd=N] [options]\n"
	"       lcw volume external-access ID [options]\n"
	"       lcw volume drain ID [--wait] [options]\n"
	"       lcw volume release ID [--node=NAME] --accept-loss [options]\n"
	"\n"
	"list   all volumes that the store knows\n"
	"show   one volume: its record and its condition\n"
	"adopt  take over an image that has no record (of the Go driver, or whose volume.json was\n"
	"       lost); its passphrase is read from descriptor N, or asked for. The image is not\n"
	"       changed: only the record is written.\n"
	"\n"
	"Of volumes in S3:\n"
	"external-access  the commands that read the volume with rclone alone; no secret is in "
	"them\n"
	"drain    what is not in S3 yet; with --wait, until nothing is left\n"
	"release  give up what node NAME (default: the one of the record) did not upload, so that\n"
	"         the volume can be staged here and deleted. For a node that is lost for ever.\n"
	"\n"
	"  -o json | -o table                    output of list and show\n"
	"  --local-path=DIR                      default: what the store knows, else\n"
	"                                        /opt/local-path-provisioner\n"
	"  --state-dir=/var/lib/lukscryptwalker  as the driver has them\n"
	"  --run-dir=/run/lukscryptwalker\n"
	"  --host-root=/\n"
	"  --node-id=NAME                        default: $KUBE_NODE_NAME, then the host name\n"
	"  --version --help\n"
	"\n"
	"exit status: 0 done, 1 failed, 2 not understood\n";

static const struct {
	const char *name;
	ctl_command *run;
} commands[] = {
	{ "list", ctl_volume_list },	   { "show", ctl_volume_show },
	{ "adopt", ctl_volume_adopt },	   { "external-access", ctl_volume_access },
	{ "release", ctl_volume_release }, { "drain", ctl_volume_drain },
};

/* The value when `word` is NAME=VALUE, else NULL. */
static const char *value_of(const char *word, const char *name)
{
	size_t length = strlen(name);

	return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static int take_format(const char *format, struct ctl *ctl, struct err *e)
{
	if (!format || (strcmp(format, "json") != 0 && strcmp(format, "table") != 0))
		return err_set(e, ERR_INVALID_ARGUMENT, "-o needs 'json' or 'table'");
	ctl->json = strcmp(format, "json") == 0;
	return 0;
}

static int take_option(const char *word, struct ctl *ctl, struct err *e)
{
	const struct {
		const char *name;
		const char **place;
	} texts[] = {
		{ "--state-dir", &ctl->state_dir },   { "--run-dir", &ctl->run_dir },
		{ "--host-root", &ctl->host_root },   { "--node-id", &ctl->node_id },
		{ "--local-path", &ctl->local_path }, { "--node", &ctl->of_node },
	};
	const char *value;
	uint64_t fd;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		value = value_of(word, texts[i].name);
		if (!value)
			continue;
		if (value[0] == '/'
			    ? !path_is_clean(value)
			    : texts[i].place != &ctl->node_id && texts[i].place != &ctl->of_node)
			return err_set(e, ERR_INVALID_ARGUMENT, "%s is not an absolute path", word);
		*texts[i].place = value;
		return 0;
	}
	if (strcmp(word, "--accept-loss") == 0 || strcmp(word, "--wait") == 0) {
		*(word[2] == 'w' ? &ctl->wait : &ctl->accept_loss) = true;
		return 0;
	}
	value = value_of(word, "--passphrase-fd");
	if (!value)
		return err_set(e, ERR_INVALID_ARGUMENT, "unknown option '%.100s' (see --help)",
			       word);
	if (!parse_uint(value, 1 << 20, &fd))
		return err_set(e, ERR_INVALID_ARGUMENT, "--passphrase-fd='%.40s' is not a number",
			       value);
	ctl->passphrase_fd = (int)fd;
	return 0;
}

/* Sorts argv into options and words; *ret_count words are left at the front of argv. */
static int parse(int argc, char *argv[], struct ctl *ctl, int *ret_count, struct err *e)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-o") == 0) {
			i++;
			if (take_format(i < argc ? argv[i] : NULL, ctl, e) < 0)
				return -1;
		} else if (argv[i][0] == '-') {
			if (take_option(argv[i], ctl, e) < 0)
				return -1;
		} else {
			argv[count++] = argv[i];
		}
	}
	*ret_count = count;
	return 0;
}

static int run(const struct ctl *ctl, int count, char *words[], struct err *e)
{
	const char *names[ARRAY_LEN(commands)];

	if (count < 2 || strcmp(words[0], "volume") != 0)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "which command? `lcw volume list` (see --help)");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, words[1]) == 0)
			return commands[i].run(ctl, count - 2, words + 2, e);
		names[i] = commands[i].name;
	}
	const char *near = nearest_word(words[1], names, ARRAY_LEN(commands));
	return err_set(e, ERR_INVALID_ARGUMENT, "unknown command 'volume %.60s'%s%s%s", words[1],
		       near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int main(int argc, char *argv[])
{
	static char host_name[256];
	struct ctl ctl = { .state_dir = "/var/lib/lukscryptwalker",
			   .run_dir = "/run/lukscryptwalker",
			   .host_root = "/",
			   .node_id = getenv("KUBE_NODE_NAME"),
			   .passphrase_fd = -1 };
	struct err e = { 0 };
	int count = 0, status = -1;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return fputs(help, stdout) < 0;
		if (strcmp(argv[i], "--version") == 0)
			return puts("lcw " PROGRAM_VERSION) < 0;
	}
	/* As the driver does; only a warning to swap, which it would log, is of no use here. */
	int ignored = secret_protect_process();
	(void)ignored;
	umask(0022);
	gethostname(host_name, sizeof(host_name) - 1);
	if (!ctl.node_id || !*ctl.node_id)
		ctl.node_id = host_name;
	if (parse(argc, argv, &ctl, &count, &e) == 0)
		status = run(&ctl, count, argv, &e);
	if (status >= 0)
		return status;
	fprintf(stderr, "lcw: %s\n", e.msg);
	return e.code == ERR_INVALID_ARGUMENT ? CTL_USAGE : CTL_FAILED;
}
