/* lcw volume external-access | release | drain: volumes in S3. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "ctl/ctl.h"
#include "ctl/node.h"
#include "engine/s3.h"
#include "volume/s3_layout.h"

static int open_volume(const struct ctl *ctl, char *words[], struct ctl_node *node,
		       struct volume_record *record, struct err *e)
{
	if (volume_id_check(words[0], e) < 0 || ctl_node_open(ctl, node, e) < 0 ||
	    store_get(node->store, words[0], record, e) < 0)
		return -1;
	if (params_backend(&record->params) != BACKEND_S3)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume '%s' is not one in S3", words[0]);
	return 0;
}

/* The specification's commands, but every secret is asked for and goes through a pipe. */
int ctl_volume_access(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	auto_record struct volume_record record = { 0 };
	const struct params *params = &record.params;

	if (open_volume(ctl, words, &node, &record, e) < 0)
		return -1;
	auto_free char *prefix = s3_prefix_of(params, record.id);
	const char *salt = s3_salt_of(params, record.id);
	const char *region = params->value[PARAM_S3_REGION];
	const char *endpoint = params->value[PARAM_S3_ENDPOINT];

	printf("# Reads volume '%s' with rclone alone. Run in a shell; nothing here is a secret.\n"
	       "read -rsp 'S3 access key id: ' S3_KEY; echo\n"
	       "read -rsp 'S3 secret access key: ' S3_SECRET; echo\n"
	       "read -rsp 'passphrase: ' PASSPHRASE; echo\n"
	       "rclone config create myremote crypt \\\n"
	       "  remote=\":s3,provider=%s,access_key_id='$S3_KEY',secret_access_key='$S3_SECRET'",
	       record.id, endpoint ? "Other" : "AWS");
	if (region)
		printf(",region=%s", region);
	if (endpoint)
		printf(",endpoint='%s',force_path_style=%s", endpoint,
		       params->value[PARAM_S3_FORCE_PATH_STYLE]);
	printf(":%s/%s\" \\\n"
	       "  password=\"$(printf %%s \"$PASSPHRASE\" | rclone obscure -)\" \\\n"
	       "  password2=\"$(printf %%s \"$PASSPHRASE-%s\" | rclone obscure -)\" \\\n"
	       "  filename_encryption=standard directory_name_encryption=true > /dev/null\n"
	       "rclone ls myremote:\n"
	       "rclone copy myremote:path/to/file ./local/\n",
	       params->value[PARAM_S3_BUCKET], prefix, salt);
	return CTL_OK;
}

int ctl_volume_release(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	auto_record struct volume_record record = { 0 };
	auto_close int lock = -1;

	if (open_volume(ctl, words, &node, &record, e) < 0)
		return -1;
	const char *holder = ctl->of_node ? ctl->of_node : record.node;
	if (!*holder)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "volume '%s' is not staged as far as this node knows: name the node "
			       "with --node=NAME",
			       record.id);
	if (!ctl->accept_loss)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "what node '%s' has of volume '%s' and did not upload is lost with "
			       "this: say --accept-loss if that node will never come back",
			       holder, record.id);
	if (ctl_lock_volume(&node, record.id, &lock, e) < 0 ||
	    s3_release(&node.node, &record, holder, e) < 0)
		return -1;
	if (strcmp(record.node, holder) == 0) {
		*record.node = '\0';
		if (store_put(node.store, &record, e) < 0)
			return -1;
	}
	log_warn("data of a node given up by an administrator", KV("volume", record.id),
		 KV("node", holder));
	printf("volume '%s' can be staged on this node now; what node '%s' did not upload is "
	       "lost\n",
	       record.id, holder);
	return CTL_OK;
}

static void show_progress(const struct s3_queue *queue, uint64_t most)
{
	enum { WIDTH = 40 };
	uint64_t done = most > queue->files ? most - queue->files : 0;
	int filled = most ? (int)(done * WIDTH / most) : WIDTH;

	printf("%s[%.*s%*s] %" PRIu64 " files, %" PRIu64 " bytes left%s",
	       isatty(STDOUT_FILENO) ? "\r" : "", filled,
	       "########################################", WIDTH - filled, "", queue->files,
	       queue->bytes, isatty(STDOUT_FILENO) ? "   " : "\n");
	fflush(stdout);
}

int ctl_volume_drain(const struct ctl *ctl, char *words[], struct err *e)
{
	const struct timespec pause = { .tv_sec = 1 };
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	auto_record struct volume_record record = { 0 };
	struct s3_queue queue;
	uint64_t most = 0;
	int empty = 0;

	if (open_volume(ctl, words, &node, &record, e) < 0)
		return -1;
	for (;;) {
		if (s3_queue_look(&node.node, &record, &queue, e) < 0)
			return -1;
		most = queue.files > most ? queue.files : most;
		empty = queue.files ? 0 : empty + 1;
		show_progress(&queue, most);
		/* A file is queued a moment after it was closed: one look says nothing. */
		if (!ctl->wait || empty == 3)
			break;
		nanosleep(&pause, NULL);
	}
	if (isatty(STDOUT_FILENO))
		puts("");
	return queue.files ? CTL_FAILED : CTL_OK;
}
