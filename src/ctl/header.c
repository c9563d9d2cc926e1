/* lcw volume unlock-test and restore-header: what a passphrase opens, and bringing it back. */
#include <stdio.h>

#include "base/json.h"
#include "ctl/ctl.h"
#include "ctl/node.h"
#include "ctl/passphrase.h"
#include "engine/local_admin.h"

static const char *answer(enum local_unlock unlock)
{
	static const char *const texts[] = {
		[LOCAL_UNLOCK_OPENS] = "opens",
		[LOCAL_UNLOCK_DENIED] = "does not open",
		[LOCAL_UNLOCK_BROKEN] = "cannot be tried",
	};

	return texts[unlock];
}

static void print_json(const char *id, const struct local_unlock_result *result)
{
	auto_json json_t *root = json_object();

	json_object_set_new(root, "volumeId", json_string(id));
	json_object_set_new(root, "volume", json_string(answer(result->volume)));
	json_object_set_new(root, "volumeError", json_string(result->volume_error.msg));
	json_object_set_new(root, "backup", json_string(answer(result->backup)));
	json_object_set_new(root, "backupError", json_string(result->backup_error.msg));
	auto_free char *text = json_text(root);
	fputs(text, stdout);
}

static void print_line(const char *what, enum local_unlock unlock, const struct err *error)
{
	printf("%-14s %s%s%s\n", what, answer(unlock), *error->msg ? ": " : "", error->msg);
}

int ctl_volume_unlock_test(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_volume struct ctl_volume volume = CTL_VOLUME_NONE;
	auto_secret struct secret *passphrase = NULL;
	struct local_unlock_result result;

	if (ctl_passphrase(ctl->passphrase_fd, "passphrase", &passphrase, e) < 0 ||
	    ctl_volume_open(ctl, words[0], &volume, e) < 0 ||
	    local_unlock_test(&volume.node.node, ctl_volume_place(&volume), words[0], passphrase,
			      &result, e) < 0)
		return -1;
	if (ctl->output == CTL_JSON) {
		print_json(words[0], &result);
	} else {
		print_line("volume", result.volume, &result.volume_error);
		print_line("header backup", result.backup, &result.backup_error);
	}
	bool both = result.volume == LOCAL_UNLOCK_OPENS && result.backup == LOCAL_UNLOCK_OPENS;
	return both ? CTL_OK : CTL_WRONG;
}

static const char *outcome(enum local_restored restored)
{
	static const char *const texts[] = {
		[LOCAL_RESTORED_NOTHING] =
			"is whole and the passphrase opens it: nothing to restore",
		[LOCAL_RESTORED_COPY] = "is restored from its second copy",
		[LOCAL_RESTORED_BACKUP] = "is restored from its backup",
	};

	return texts[restored];
}

int ctl_volume_restore_header(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_volume struct ctl_volume volume = CTL_VOLUME_NONE;
	auto_secret struct secret *passphrase = NULL;
	enum local_restored restored;

	if (ctl_passphrase(ctl->passphrase_fd, "passphrase", &passphrase, e) < 0 ||
	    ctl_volume_open(ctl, words[0], &volume, e) < 0 ||
	    local_restore_header(&volume.node.node, ctl_volume_place(&volume), words[0], passphrase,
				 &restored, e) < 0)
		return -1;
	printf("the LUKS header of volume '%s' %s\n", words[0], outcome(restored));
	return CTL_OK;
}
