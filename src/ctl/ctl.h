/* lcw, the admin's command line: what its commands share. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>

#include "base/err.h"
#include "engine/local.h"
#include "store/store.h"

/* Exit statuses; man/lcw.8 documents them. */
enum {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_WRONG = 3, /* what was looked at is not as it should be */
	CTL_BUSY = 4,  /* another operation on the volume is running */
};

struct ctl {
	const char *state_dir, *run_dir, *host_root, *node_id, *kubelet_dir;
	const char *local_path; /* NULL: not given */
	int passphrase_fd;	/* -1: ask at the terminal */
	const char *rate;	/* of reencrypt: bytes per second; NULL: no limit */
	int new_passphrase_fd;	/* of rotate-key; -1: ask */
	enum { CTL_TABLE, CTL_JSON, CTL_NAME } output;
	const char *of_node;	/* of release; NULL: the record's */
	bool accept_loss, wait; /* of release, of drain */
	bool node_is_gone;	/* of forget */
};

/* One command: `words` are what follows its name, as many as its table says. Returns an exit
 * status, or -1 with `e`. */
typedef int ctl_run(const struct ctl *ctl, char *words[], struct err *e);

ctl_run ctl_volume_list, ctl_volume_show, ctl_volume_check, ctl_volume_backup_header,
	ctl_volume_expand, ctl_volume_rotate_key, ctl_volume_reencrypt, ctl_volume_unlock_test,
	ctl_volume_restore_header, ctl_volume_adopt, ctl_volume_forget, ctl_volume_access,
	ctl_volume_release, ctl_volume_drain, ctl_node_doctor, ctl_node_adopt, ctl_completion_bash,
	ctl_completion_zsh, ctl_completion_fish;

#endif
