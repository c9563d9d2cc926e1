/* The tables of commands and options, and how a command line is read. */
#include "ctl/command.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

const struct ctl_command ctl_commands[] = {
	{ "volume", "list", "", 0, ctl_volume_list, "all volumes that the store knows" },
	{ "volume", "show", "ID", 1, ctl_volume_show, "one volume: its record and its condition" },
	{ "volume", "check", "ID", 1, ctl_volume_check,
	  "look at record, image, header, keyslots, backup and use of one volume" },
	{ "volume", "expand", "ID SIZE", 2, ctl_volume_expand,
	  "grow a volume, open or closed (in Kubernetes: change the claim instead)" },
	{ "volume", "unlock-test", "ID", 1, ctl_volume_unlock_test,
	  "whether a passphrase opens the volume and its header backup; opens nothing" },
	{ "volume", "rotate-key", "ID", 1, ctl_volume_rotate_key,
	  "change the passphrase, also of a volume in use" },
	{ "volume", "reencrypt", "ID", 1, ctl_volume_reencrypt,
	  "replace the volume key of a volume that no pod uses; goes on where it was stopped" },
	{ "volume", "backup-header", "ID", 1, ctl_volume_backup_header,
	  "make the backup of the LUKS header anew" },
	{ "volume", "restore-header", "ID", 1, ctl_volume_restore_header,
	  "bring back a damaged LUKS header from its second copy or from its backup" },
	{ "volume", "adopt", "ID", 1, ctl_volume_adopt,
	  "take over an image without a record (of the Go driver, or volume.json was lost)" },
	{ "volume", "forget", "ID", 1, ctl_volume_forget,
	  "remove what the store knows of a volume whose data are lost" },
	{ "volume", "external-access", "ID", 1, ctl_volume_access,
	  "the commands that read a volume in S3 with rclone alone; no secret is in them" },
	{ "volume", "drain", "ID", 1, ctl_volume_drain,
	  "what of a volume is not in S3 yet; with --wait, until nothing is left" },
	{ "volume", "release", "ID", 1, ctl_volume_release,
	  "give up what a lost node did not upload to S3, so that another can stage the volume" },
	{ "node", "doctor", "", 0, ctl_node_doctor,
	  "whether this node can hold volumes, and what is left over on it" },
	{ "node", "adopt", "", 0, ctl_node_adopt,
	  "take over every image without a record in --local-path, with one passphrase" },
	{ "completion", "bash", "", 0, ctl_completion_bash, "a script for this shell" },
	{ "completion", "zsh", "", 0, ctl_completion_zsh, "a script for this shell" },
	{ "completion", "fish", "", 0, ctl_completion_fish, "a script for this shell" },
};
const size_t ctl_command_count = ARRAY_LEN(ctl_commands);

#define PLACE(member) offsetof(struct ctl, member)
const struct ctl_option ctl_options[] = {
	{ "--passphrase-fd", CTL_NUMBER, PLACE(passphrase_fd), "N",
	  "read the passphrase from this descriptor, to its end; default: ask" },
	{ "--new-passphrase-fd", CTL_NUMBER, PLACE(new_passphrase_fd), "N",
	  "of rotate-key: the same for the new passphrase; default: ask twice" },
	{ "--rate", CTL_TEXT, PLACE(rate), "SIZE",
	  "of reencrypt: at most so much per second, such as 50Mi" },
	{ "--wait", CTL_FLAG, PLACE(wait), NULL, "of drain: until nothing is left" },
	{ "--node", CTL_TEXT, PLACE(of_node), "NAME",
	  "of release: the lost node; default: the one that had the volume last" },
	{ "--accept-loss", CTL_FLAG, PLACE(accept_loss), NULL,
	  "of release: the node will never come back, and what it had is given up" },
	{ "--node-is-gone", CTL_FLAG, PLACE(node_is_gone), NULL,
	  "of forget, in a cluster: its node will never come back, and left the cluster" },
	{ "--local-path", CTL_PATH, PLACE(local_path), "DIR",
	  "where a volume lies that the store does not know "
	  "(/opt/local-path-provisioner)" },
	{ "--state-dir", CTL_PATH, PLACE(state_dir), "DIR",
	  "as the driver has it ($LCW_STATE_DIR, /var/lib/lukscryptwalker)" },
	{ "--run-dir", CTL_PATH, PLACE(run_dir), "DIR",
	  "as the driver has it ($LCW_RUN_DIR, /run/lukscryptwalker)" },
	{ "--host-root", CTL_PATH, PLACE(host_root), "DIR",
	  "as the driver has it ($LCW_HOST_ROOT, /)" },
	{ "--kubelet-dir", CTL_PATH, PLACE(kubelet_dir), "DIR",
	  "as the driver has it ($LCW_KUBELET_DIR, /var/lib/kubelet)" },
	{ "--node-id", CTL_TEXT, PLACE(node_id), "NAME",
	  "default: $KUBE_NODE_NAME, then the host name" },
};
const size_t ctl_option_count = ARRAY_LEN(ctl_options);

/* " (did you mean 'X'?)" or nothing. */
static void suggest(const char *word, const char *const names[], size_t count, char *ret_text,
		    size_t size)
{
	bool likely;
	const char *near = nearest_word(word, names, count, &likely);

	snprintf(ret_text, size, likely ? ": did you mean '%s'?" : " (see --help)", near);
}

static int take_format(const char *format, struct ctl *ctl, struct err *e)
{
	static const char *const formats[] = {
		[CTL_TABLE] = "table", [CTL_JSON] = "json", [CTL_NAME] = "name"
	};

	for (int i = 0; format && i < (int)ARRAY_LEN(formats); i++) {
		if (strcmp(format, formats[i]) == 0) {
			ctl->output = i;
			return 0;
		}
	}
	return err_set(e, ERR_INVALID_ARGUMENT, "-o needs 'table', 'json' or 'name'");
}

static int take_value(const struct ctl_option *option, const char *value, struct ctl *ctl,
		      struct err *e)
{
	char *place = (char *)ctl + option->offset;
	uint64_t number;
	int fd;

	if (option->kind == CTL_NUMBER) {
		if (!parse_uint(value, 1 << 20, &number))
			return err_set(e, ERR_INVALID_ARGUMENT, "%s='%.40s' is not a number",
				       option->name, value);
		fd = (int)number;
		memcpy(place, &fd, sizeof(fd));
		return 0;
	}
	if (option->kind == CTL_PATH && !path_is_clean(value))
		return err_set(e, ERR_INVALID_ARGUMENT, "%s='%.200s' is not an absolute path",
			       option->name, value);
	memcpy(place, &value, sizeof(value));
	return 0;
}

static int take_flag(const struct ctl_option *option, const char *equals, struct ctl *ctl,
		     struct err *e)
{
	bool on = true;

	if (equals)
		return err_set(e, ERR_INVALID_ARGUMENT, "%s takes no value", option->name);
	memcpy((char *)ctl + option->offset, &on, sizeof(on));
	return 0;
}

/* argv[*at] is an option, its value follows '=' or is the next word. */
static int take_option(int argc, char *argv[], int *at, struct ctl *ctl, struct err *e)
{
	const char *names[ARRAY_LEN(ctl_options)];
	const char *word = argv[*at], *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) : strlen(word);
	const char *value = equals ? equals + 1 : *at + 1 < argc ? argv[*at + 1] : NULL;
	char hint[80];

	for (size_t i = 0; i < ctl_option_count; i++) {
		names[i] = ctl_options[i].name;
		if (strlen(names[i]) != length || strncmp(names[i], word, length) != 0)
			continue;
		if (ctl_options[i].kind == CTL_FLAG)
			return take_flag(&ctl_options[i], equals, ctl, e);
		if (!value)
			return err_set(e, ERR_INVALID_ARGUMENT, "%s needs a value", names[i]);
		*at += !equals;
		return take_value(&ctl_options[i], value, ctl, e);
	}
	suggest(word, names, ctl_option_count, hint, sizeof(hint));
	return err_set(e, ERR_INVALID_ARGUMENT, "unknown option '%.100s'%s", word, hint);
}

int ctl_parse(int argc, char *argv[], struct ctl *ctl, int *ret_count, struct err *e)
{
	int count = 0, rc = 0;

	for (int i = 1; rc == 0 && i < argc; i++) {
		if (strcmp(argv[i], "-o") == 0) {
			i++;
			rc = take_format(i < argc ? argv[i] : NULL, ctl, e);
		} else if (argv[i][0] == '-') {
			rc = take_option(argc, argv, &i, ctl, e);
		} else {
			argv[count++] = argv[i];
		}
	}
	*ret_count = count;
	return rc;
}

int ctl_command_find(int count, char *words[], const struct ctl_command **ret_command,
		     struct err *e)
{
	const char *names[ARRAY_LEN(ctl_commands)];
	const char *group = count > 0 ? words[0] : "", *name = count > 1 ? words[1] : "";
	size_t known = 0;
	char hint[80];

	for (size_t i = 0; i < ctl_command_count; i++) {
		if (strcmp(ctl_commands[i].group, group) != 0)
			continue;
		names[known++] = ctl_commands[i].name;
		if (strcmp(ctl_commands[i].name, name) == 0) {
			*ret_command = &ctl_commands[i];
			return 0;
		}
	}
	if (count < 2 || known == 0)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "which command? `lcw volume list` (see --help)");
	suggest(name, names, known, hint, sizeof(hint));
	return err_set(e, ERR_INVALID_ARGUMENT, "unknown command '%.20s %.60s'%s", group, name,
		       hint);
}

void ctl_help(void)
{
	puts("usage: lcw GROUP COMMAND [WORD]... [OPTION]...\n");
	for (size_t i = 0; i < ctl_command_count; i++) {
		const struct ctl_command *c = &ctl_commands[i];
		char usage[80];

		snprintf(usage, sizeof(usage), "%s %s %s", c->group, c->name, c->words);
		printf("  %-28s %s\n", usage, c->help);
	}
	printf("\n  %-28s %s\n", "-o table|json|name",
	       "the form of the output; name: ids only, of list");
	for (size_t i = 0; i < ctl_option_count; i++) {
		const struct ctl_option *o = &ctl_options[i];
		char usage[80];

		snprintf(usage, sizeof(usage), "%s%s%s", o->name, o->placeholder ? "=" : "",
			 o->placeholder ? o->placeholder : "");
		printf("  %-28s %s\n", usage, o->help);
	}
	printf("  %-28s\n\n", "--version --help");
	puts("exit status: 0 done, 1 failed, 2 not understood, 3 something is not as it should\n"
	     "be, 4 busy: try again. See lcw(8).");
}
