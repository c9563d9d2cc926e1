/* lcw volume adopt: a record for an image that has none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/node.h"

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

static int ask_passphrase(struct secret **ret_secret, struct err *e)
{
	struct termios before, quiet;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"there is no terminal to ask for the passphrase: give --passphrase-fd=N");
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	fputs("passphrase: ", stderr);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	int rc = read_passphrase(STDIN_FILENO, ret_secret, e);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputs("\n", stderr);
	return rc;
}

/* The parameters of the volume: of the store where it knows it, else defaults. */
static int find_params(const struct ctl *ctl, struct ctl_node *node, const char *id,
		       struct stage_request *request, struct err *e)
{
	auto_record struct volume_record known = { 0 };
	const struct text_pair pair = { "local-path", ctl->local_path };

	if (store_get(node->store, id, &known, e) < 0)
		return e->code == ERR_NOT_FOUND
			       ? params_parse(&pair, ctl->local_path ? 1 : 0, &request->params, e)
			       : -1;
	params_copy(&known.params, &request->params);
	request->capability.block = known.block;
	return 0;
}

static int adopt(struct ctl_node *node, const struct stage_request *request, struct err *e)
{
	auto_record struct volume_record record = { 0 };

	if (local_adopt_image(&node->node, request->params.value[PARAM_LOCAL_PATH], request,
			      &record, e) < 0 ||
	    store_put(node->store, &record, e) < 0)
		return -1;
	printf("volume '%s' is adopted: LUKS UUID %s\n", record.id, record.luks_uuid);
	return CTL_OK;
}

int ctl_volume_adopt(const struct ctl *ctl, int count, char *words[], struct err *e)
{
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	auto_secret struct secret *passphrase = NULL;
	struct stage_request request = { .capability = { .fs_type = "" } };
	auto_close int lock = -1;

	if (count != 1)
		return err_set(e, ERR_INVALID_ARGUMENT, "`lcw volume adopt` takes one volume id");
	request.id = words[0];
	if (volume_id_check(request.id, e) < 0 || ctl_node_open(ctl, &node, e) < 0)
		return -1;
	if (ctl_lock_volume(&node, request.id, &lock, e) < 0)
		return -1;
	if ((ctl->passphrase_fd >= 0 ? read_passphrase(ctl->passphrase_fd, &passphrase, e)
				     : ask_passphrase(&passphrase, e)) < 0)
		return -1;
	request.passphrase = passphrase;
	int rc = find_params(ctl, &node, request.id, &request, e);
	if (rc == 0)
		rc = adopt(&node, &request, e);
	params_done(&request.params);
	return rc;
}
