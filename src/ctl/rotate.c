/* lcw volume rotate-key: another passphrase. */
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/node.h"
#include "ctl/passphrase.h"
#include "engine/local_admin.h"

/* Asked twice at a terminal: what is mistyped once would lock everybody out. */
static int new_passphrase(const struct ctl *ctl, struct secret **ret_secret, struct err *e)
{
	auto_secret struct secret *again = NULL;
	int fd = ctl->new_passphrase_fd;

	if (fd >= 0 && fd == ctl->passphrase_fd)
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"--new-passphrase-fd and --passphrase-fd must be two descriptors: each "
			"is read to its end");
	if (ctl_passphrase(fd, "new passphrase", ret_secret, e) < 0)
		return -1;
	if (fd >= 0)
		return 0;
	if (ctl_passphrase(fd, "new passphrase again", &again, e) < 0)
		return -1;
	return secret_equal(*ret_secret, again)
		       ? 0
		       : err_set(e, ERR_INVALID_ARGUMENT, "the two are not the same");
}

int ctl_volume_rotate_key(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_secret struct secret *present = NULL, *wanted = NULL;
	auto_ctl_volume struct ctl_volume volume = CTL_VOLUME_NONE;
	auto_record struct volume_record now = { 0 };

	if (ctl_passphrase(ctl->passphrase_fd, "present passphrase", &present, e) < 0 ||
	    new_passphrase(ctl, &wanted, e) < 0 || ctl_volume_open(ctl, words[0], &volume, e) < 0 ||
	    local_rotate_key(&volume.node.node, ctl_volume_place(&volume), words[0], present,
			     wanted, &now, e) < 0 ||
	    ctl_volume_changed(&volume, &now, e) < 0)
		return -1;
	printf("the new passphrase opens volume '%s', the one before does not any more: put it "
	       "into "
	       "the Secret\n",
	       words[0]);
	return CTL_OK;
}
