/* The command line. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"

const char config_help[] =
	"usage: lukscryptwalker-csi ROLE [options]\n"
	"\n"
	"ROLE: all | controller | node | mounter\n"
	"\n"
	"  --endpoint=unix:///csi/csi.sock       CSI socket (also $CSI_ENDPOINT)\n"
	"  --node-id=NAME                        default: $KUBE_NODE_NAME, then the host name\n"
	"  --state-dir=/var/lib/lukscryptwalker  records of the directory store\n"
	"  --run-dir=/run/lukscryptwalker        locks, sockets; lost at reboot\n"
	"  --store=dir|kube                      default: kube in the roles of a cluster, else "
	"dir\n"
	"  --host-root=/                         where the host's root is seen; prepended to "
	"local-path only\n"
	"  --allow-path=DIR                      repeatable: local-path must lie in one of these\n"
	"  --kubelet-dir=/var/lib/kubelet        staging and target paths must lie here\n"
	"  --registration=auto|on|off            with kubelet; auto: in the role node\n"
	"  --kubelet-endpoint=unix:///...        the CSI socket as kubelet sees it; default: "
	"--endpoint\n"
	"  --http-endpoint=:9808                 /healthz /readyz /metrics; empty: off\n"
	"  --rclone=PATH                         rclone of the s3 backend; default: that of\n"
	"                                        /usr/local/bin, then of /usr/bin\n"
	"  --mounter-endpoint=unix:///...        default: mounter.sock in --run-dir\n"
	"  --exit-when-idle                      role mounter: ends with the last volume\n"
	"  --log-format=text|json\n"
	"  --log-level=error|warn|info|debug\n"
	"  --version\n"
	"  --help\n";

enum option {
	OPT_ENDPOINT,
	OPT_NODE_ID,
	OPT_STATE_DIR,
	OPT_RUN_DIR,
	OPT_STORE,
	OPT_HOST_ROOT,
	OPT_ALLOW_PATH,
	OPT_KUBELET_DIR,
	OPT_REGISTRATION,
	OPT_KUBELET_ENDPOINT,
	OPT_HTTP_ENDPOINT,
	OPT_RCLONE,
	OPT_MOUNTER_ENDPOINT,
	OPT_EXIT_WHEN_IDLE,
	OPT_LOG_FORMAT,
	OPT_LOG_LEVEL,
	OPT_VERSION,
	OPT_HELP,
	OPT_COUNT
};

static const char *const option_names[OPT_COUNT] = {
	[OPT_ENDPOINT] = "--endpoint",
	[OPT_NODE_ID] = "--node-id",
	[OPT_STATE_DIR] = "--state-dir",
	[OPT_RUN_DIR] = "--run-dir",
	[OPT_STORE] = "--store",
	[OPT_HOST_ROOT] = "--host-root",
	[OPT_ALLOW_PATH] = "--allow-path",
	[OPT_KUBELET_DIR] = "--kubelet-dir",
	[OPT_REGISTRATION] = "--registration",
	[OPT_KUBELET_ENDPOINT] = "--kubelet-endpoint",
	[OPT_HTTP_ENDPOINT] = "--http-endpoint",
	[OPT_RCLONE] = "--rclone",
	[OPT_MOUNTER_ENDPOINT] = "--mounter-endpoint",
	[OPT_EXIT_WHEN_IDLE] = "--exit-when-idle",
	[OPT_LOG_FORMAT] = "--log-format",
	[OPT_LOG_LEVEL] = "--log-level",
	[OPT_VERSION] = "--version",
	[OPT_HELP] = "--help",
};

/* The place of `word` among `words`, or INVALID_ARGUMENT with the nearest one. */
static int choose(const char *what, const char *word, const char *const words[], size_t count,
		  struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i], word) == 0)
			return (int)i;
	bool likely;
	const char *near = nearest_word(word, words, count, &likely);
	if (likely)
		return err_set(e, ERR_INVALID_ARGUMENT, "unknown %s '%.100s': did you mean '%s'?",
			       what, word, near);
	return err_set(e, ERR_INVALID_ARGUMENT, "unknown %s '%.100s' (see --help)", what, word);
}

/* A slash at the end says nothing, and would not be found in what the kernel shows. */
static int take_path(const char *option, char *value, const char **ret_path, struct err *e)
{
	if (!path_is_clean(value))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "%s='%.200s' is not an absolute path without '..'", option, value);
	for (size_t length = strlen(value); length > 1 && value[length - 1] == '/'; length--)
		value[length - 1] = '\0';
	*ret_path = value;
	return 0;
}

static int take_socket(const char *option, char *value, const char **ret_path, struct err *e)
{
	static const char scheme[] = "unix://";
	char *path = value;

	if (strncmp(value, scheme, strlen(scheme)) == 0)
		path += strlen(scheme);
	else if (strncmp(value, "unix:", 5) == 0)
		path += 5;
	else if (strstr(value, "://"))
		return err_set(e, ERR_INVALID_ARGUMENT, "%s='%.200s' is not a unix:// address",
			       option, value);
	return take_path(option, path, ret_path, e);
}

/* ":9808", "127.0.0.1:9808", "[::1]:9808"; the text is split in place. */
static int take_http(char *value, struct config *config, struct err *e)
{
	char *colon = strrchr(value, ':');
	uint64_t port;

	config->http_port = NULL;
	if (!*value)
		return 0;
	if (!colon || !parse_uint(colon + 1, 65535, &port))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "--http-endpoint='%.200s' is not [HOST]:PORT, nor empty", value);
	*colon = '\0';
	size_t length = strlen(value);
	if (value[0] == '[' && value[length - 1] == ']') {
		value[length - 1] = '\0';
		value++;
	}
	/* Without asking a name service, whose libraries would stay in memory. */
	config->http_host = strcmp(value, "localhost") == 0 ? "127.0.0.1" : value;
	config->http_port = colon + 1;
	return 0;
}

static int take_word(enum option option, const char *value, struct config *config, struct err *e)
{
	static const char *const stores[] = { "dir", "kube" };
	static const char *const registrations[] = { "auto", "on", "off" };
	static const char *const formats[] = { "text", "json" };
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	int which;

	switch (option) {
	case OPT_STORE:
		which = choose("--store", value, stores, ARRAY_LEN(stores), e);
		config->store = which == 0 ? STORE_DIR : STORE_KUBE;
		return which < 0 ? -1 : 0;
	case OPT_REGISTRATION:
		which = choose("--registration", value, registrations, ARRAY_LEN(registrations), e);
		config->registration = (enum registration_choice)which;
		return which < 0 ? -1 : 0;
	case OPT_LOG_FORMAT:
		which = choose("--log-format", value, formats, ARRAY_LEN(formats), e);
		config->log_format = (enum log_format)which;
		return which < 0 ? -1 : 0;
	default:
		which = choose("--log-level", value, levels, ARRAY_LEN(levels), e);
		config->log_level = (enum log_level)which;
		return which < 0 ? -1 : 0;
	}
}

static int take_option(enum option option, char *value, struct config *config, struct err *e)
{
	switch (option) {
	case OPT_ENDPOINT:
		return take_socket(option_names[option], value, &config->socket_path, e);
	case OPT_NODE_ID:
		config->node_id = value;
		return 0;
	case OPT_STATE_DIR:
		return take_path(option_names[option], value, &config->state_dir, e);
	case OPT_RUN_DIR:
		return take_path(option_names[option], value, &config->run_dir, e);
	case OPT_HOST_ROOT:
		return take_path(option_names[option], value, &config->host_root, e);
	case OPT_KUBELET_DIR:
		return take_path(option_names[option], value, &config->kubelet_dir, e);
	case OPT_KUBELET_ENDPOINT:
		return take_socket(option_names[option], value, &config->kubelet_endpoint, e);
	case OPT_ALLOW_PATH:
		if (config->allow_count == ALLOW_PATHS_MAX)
			return err_set(e, ERR_INVALID_ARGUMENT,
				       "--allow-path is given more than %d times", ALLOW_PATHS_MAX);
		return take_path(option_names[option], value,
				 &config->allow_paths[config->allow_count++], e);
	case OPT_HTTP_ENDPOINT:
		return take_http(value, config, e);
	case OPT_RCLONE:
		return take_path(option_names[option], value, &config->rclone, e);
	case OPT_MOUNTER_ENDPOINT:
		return take_socket(option_names[option], value, &config->mounter_socket, e);
	default:
		return take_word(option, value, config, e);
	}
}

/* One word of the command line; *at moves on when the value is the next word. */
static int take_argument(int argc, char *argv[], int *at, struct config *config,
			 enum config_action *action, struct err *e)
{
	char *word = argv[*at];
	char *equals = strchr(word, '=');
	char *value = equals ? equals + 1 : NULL;

	if (equals)
		*equals = '\0';
	int which = choose("option", word, option_names, OPT_COUNT, e);
	if (which < 0)
		return -1;
	if (which == OPT_VERSION || which == OPT_HELP) {
		*action = which == OPT_HELP ? CONFIG_HELP : CONFIG_VERSION;
		return 0;
	}
	if (which == OPT_EXIT_WHEN_IDLE) {
		config->exit_when_idle = true;
		return value ? err_set(e, ERR_INVALID_ARGUMENT, "%s takes no value",
				       option_names[which])
			     : 0;
	}
	if (!value && *at + 1 < argc)
		value = argv[++*at];
	if (!value)
		return err_set(e, ERR_INVALID_ARGUMENT, "%s needs a value", option_names[which]);
	return take_option((enum option)which, value, config, e);
}

/* A node's name becomes a topology label: Kubernetes allows 63 characters of a small set. */
static int check_node_id(const char *id, struct err *e)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	static const char inside[] = "-_.";
	size_t length = strlen(id);

	if (length == 0 || length > 63 || strspn(id, allowed) != length || strchr(inside, id[0]) ||
	    strchr(inside, id[length - 1]))
		return err_set(
			e, ERR_INVALID_ARGUMENT,
			"--node-id='%.100s' is not a node name: 1 to 63 letters, digits, '-', '_' "
			"or '.', with a letter or digit at both ends",
			id);
	return 0;
}

/* Ours before the distribution's, which is often too old. */
static const char *find_rclone(void)
{
	static const char *const places[] = { "/usr/local/bin/rclone", "/usr/bin/rclone" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

static void defaults(struct config *config)
{
	static char http[] = ":9808";
	static char host_name[256];
	const char *node = getenv("KUBE_NODE_NAME");

	if (!node || !*node) {
		gethostname(host_name, sizeof(host_name) - 1);
		node = host_name;
	}
	*config = (struct config){
		.node_id = node,
		.state_dir = "/var/lib/lukscryptwalker",
		.run_dir = "/run/lukscryptwalker",
		.host_root = "/",
		.kubelet_dir = "/var/lib/kubelet",
		.rclone = find_rclone(),
		.log_format = LOG_TEXT,
		.log_level = LOG_INFO,
	};
	struct err ignored;
	take_http(http, config, &ignored);
}

/* What the environment says counts only where the command line is silent. */
static int take_endpoint_default(struct config *config, struct err *e)
{
	char *endpoint = getenv("CSI_ENDPOINT");

	if (config->socket_path)
		return 0;
	config->socket_path = "/csi/csi.sock";
	return endpoint && *endpoint
		       ? take_socket("$CSI_ENDPOINT", endpoint, &config->socket_path, e)
		       : 0;
}

int config_parse(int argc, char *argv[], struct config *ret_config, enum config_action *ret_action,
		 struct err *e)
{
	static const char *const roles[] = { "all", "controller", "node", "mounter" };
	bool has_role = false;

	defaults(ret_config);
	*ret_action = CONFIG_RUN;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-h") == 0) {
			*ret_action = CONFIG_HELP;
			continue;
		}
		if (argv[i][0] == '-') {
			if (take_argument(argc, argv, &i, ret_config, ret_action, e) < 0)
				return -1;
			continue;
		}
		if (has_role)
			return err_set(e, ERR_INVALID_ARGUMENT,
				       "unexpected word '%.100s' (see --help)", argv[i]);
		int role = choose("role", argv[i], roles, ARRAY_LEN(roles), e);
		if (role < 0)
			return -1;
		ret_config->role = (enum role)role;
		has_role = true;
	}
	if (*ret_action != CONFIG_RUN)
		return 0;
	if (!has_role)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "which role? all, controller, node or mounter (see --help)");
	/* The role all needs no Kubernetes, also where it runs in a pod. */
	if (ret_config->store == STORE_AUTO)
		ret_config->store =
			ret_config->role != ROLE_ALL && getenv("KUBERNETES_SERVICE_HOST")
				? STORE_KUBE
				: STORE_DIR;
	return take_endpoint_default(ret_config, e) < 0 ? -1
							: check_node_id(ret_config->node_id, e);
}
