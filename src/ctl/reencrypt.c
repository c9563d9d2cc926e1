/* lcw volume reencrypt: another volume key. */
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/parse.h"
#include "ctl/ctl.h"
#include "ctl/node.h"
#include "ctl/passphrase.h"
#include "ctl/progress.h"
#include "engine/local_admin.h"

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

/* ^C and SIGTERM end the work between two pieces: nothing must be recovered then. */
static void stop_on_signals(void)
{
	const struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

struct work {
	struct progress progress;
	uint64_t rate;
};

static bool on_piece(uint64_t done, uint64_t total, void *data)
{
	struct work *work = data;

	if (!work->progress.started_ms) {
		work->progress.started_ms = clock_ms();
		work->progress.first_done = done;
	}
	progress_show(&work->progress, done, total);
	if (!stopped)
		progress_throttle(&work->progress, done, work->rate);
	return stopped;
}

int ctl_volume_reencrypt(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_secret struct secret *passphrase = NULL;
	auto_ctl_volume struct ctl_volume volume = CTL_VOLUME_NONE;
	auto_record struct volume_record begun = { 0 }, now = { 0 };
	struct work work = { .rate = 0 };
	bool complete = false;

	if (ctl->rate && (!parse_size(ctl->rate, &work.rate) || work.rate == 0))
		return err_set(e, ERR_INVALID_ARGUMENT, "--rate='%.40s' is not a size such as 50Mi",
			       ctl->rate);
	if (ctl_passphrase(ctl->passphrase_fd, "passphrase", &passphrase, e) < 0 ||
	    ctl_volume_open(ctl, words[0], &volume, e) < 0 ||
	    local_reencrypt_begin(&volume.node.node, ctl_volume_place(&volume), words[0],
				  passphrase, &begun, e) < 0 ||
	    ctl_volume_changed(&volume, &begun, e) < 0)
		return -1;
	stop_on_signals();
	progress_start(&work.progress, words[0]);
	int rc = local_reencrypt_run(&volume.node.node, ctl_volume_place(&volume), words[0],
				     passphrase, on_piece, &work, &complete, &now, e);
	progress_end(&work.progress);
	if (rc < 0 || ctl_volume_changed(&volume, &now, e) < 0)
		return -1;
	if (!complete)
		return err_set(
			e, ERR_CANCELLED,
			"stopped: `lcw volume reencrypt %s` goes on, and until it is complete "
			"the volume cannot be staged",
			words[0]);
	printf("the volume key of '%s' is replaced\n", words[0]);
	return CTL_OK;
}
