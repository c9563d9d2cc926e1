/* The command line: roles and options, as design/behaviour.md writes the contract. */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/log.h"

enum role { ROLE_ALL, ROLE_CONTROLLER, ROLE_NODE, ROLE_MOUNTER };
enum store_kind { STORE_AUTO, STORE_DIR, STORE_KUBE }; /* auto: until all is parsed */
enum registration_choice { REGISTRATION_AUTO, REGISTRATION_ON, REGISTRATION_OFF };
enum config_action { CONFIG_RUN, CONFIG_HELP, CONFIG_VERSION };

#define ALLOW_PATHS_MAX 32

/* All texts are borrowed from argv, the environment or constants. */
struct config {
	enum role role;
	enum store_kind store;
	const char *socket_path; /* of --endpoint, without unix:// */
	enum registration_choice registration;
	const char *kubelet_endpoint;	   /* of --kubelet-endpoint; NULL: socket_path */
	const char *http_host, *http_port; /* http_port NULL: off */
	const char *node_id, *state_dir, *run_dir, *host_root, *kubelet_dir;
	const char *rclone;	    /* NULL: none was found */
	bool exit_when_idle;	    /* role mounter, started by role all */
	const char *mounter_socket; /* NULL: {run-dir}/mounter.sock */
	const char *allow_paths[ALLOW_PATHS_MAX];
	size_t allow_count;
	enum log_format log_format;
	enum log_level log_level;
};

/*
 * Reads the command line and environment. INVALID_ARGUMENT names the option and what is wrong
 * with it; an unknown option or role comes with the nearest known one.
 */
int config_parse(int argc, char *argv[], struct config *ret_config, enum config_action *ret_action,
		 struct err *e) MUST_CHECK;

extern const char config_help[];

#endif
