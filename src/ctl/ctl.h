/* lcw, the admin's command line: what its commands share. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>

#include "base/err.h"
#include "engine/local.h"
#include "store/store.h"

/* Exit statuses. */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

struct ctl {
	const char *state_dir, *run_dir, *host_root, *node_id;
	const char *local_path; /* --local-path, of adopt */
	int passphrase_fd;	/* -1: ask at the terminal */
	bool json;
	const char *of_node; /* --node, of release */
	bool accept_loss, wait;
};

/* One command: `words` are what follows its name. Returns an exit status, or -1 with `e`. */
typedef int ctl_command(const struct ctl *ctl, int count, char *words[], struct err *e);

ctl_command ctl_volume_list, ctl_volume_show, ctl_volume_adopt;
ctl_command ctl_volume_access, ctl_volume_release, ctl_volume_drain;

#endif
