/* lukscryptwalker-csi: the encrypted CSI driver, in one of its roles. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/secret.h"
#include "config.h"
#include "wiring.h"

/* What must hold before anything else happens in the process. */
static void prepare_process(void)
{
	/* libdevmapper must not wait for a udevd that may live in another namespace. */
	setenv("DM_DISABLE_UDEV", "1", 1);
	umask(0022);
	/* Gives the memory of a burst back to the system. */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);

	int rc = secret_protect_process();
	if (rc < 0)
		log_info("may not lock all of its memory, only the secrets themselves",
			 KV("error", strerror(-rc)));
}

int main(int argc, char *argv[])
{
	enum config_action action;
	struct config config;
	struct err e = { 0 };

	if (config_parse(argc, argv, &config, &action, &e) < 0) {
		fprintf(stderr, "lukscryptwalker-csi: %s\n", e.msg);
		return 2;
	}
	if (action == CONFIG_HELP) {
		fputs(config_help, stdout);
		return 0;
	}
	if (action == CONFIG_VERSION) {
		puts("lukscryptwalker-csi " PROGRAM_VERSION);
		return 0;
	}
	log_setup(config.log_format, config.log_level);
	prepare_process();
	if (wiring_run(&config, &e) < 0) {
		log_error("cannot run", KV("error", e.msg));
		return 1;
	}
	return 0;
}
