/* Reading syscallpoint's command line. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name;
	int number;
} errors[] = {
	{ "EIO", EIO },	    { "ENOSPC", ENOSPC }, { "ENOMEM", ENOMEM }, { "EBUSY", EBUSY },
	{ "EINTR", EINTR }, { "EMFILE", EMFILE }, { "ENOENT", ENOENT }, { "EACCES", EACCES },
};

static void usage(void)
{
	fputs("usage: syscallpoint --pid=DRIVER [--at=K] [--kill | --errno=NAME] [--after] "
	      "[--list]\n"
	      "                    [--target=worker|driver|both|children|program] "
	      "[--seconds=N] [--report=FILE]\n",
	      stderr);
	exit(2);
}

static int find_error(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].number;
	usage();
	return 0;
}

static enum target find_target(const char *name)
{
	static const char *const names[] = { "worker", "driver", "both", "children", "program" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return (enum target)i;
	usage();
	return TARGET_WORKER;
}

static void take_option(struct options *options, int option)
{
	switch (option) {
	case 'p':
		options->driver = (pid_t)strtol(optarg, NULL, 10);
		break;
	case 'a':
		options->at = strtoul(optarg, NULL, 10);
		break;
	case 'k':
		options->errnum = 0;
		break;
	case 'e':
		options->errnum = find_error(optarg);
		break;
	case 't':
		options->target = find_target(optarg);
		break;
	case 'A':
		options->after = true;
		break;
	case 'l':
		options->list = true;
		break;
	case 's':
		options->seconds = (int)strtol(optarg, NULL, 10);
		break;
	case 'r':
		options->report = fopen(optarg, "we");
		break;
	default:
		usage();
	}
}

void options_parse(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "at", required_argument, NULL, 'a' },
		{ "kill", no_argument, NULL, 'k' },
		{ "errno", required_argument, NULL, 'e' },
		{ "target", required_argument, NULL, 't' },
		{ "after", no_argument, NULL, 'A' },
		{ "list", no_argument, NULL, 'l' },
		{ "seconds", required_argument, NULL, 's' },
		{ "report", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) >= 0)
		take_option(options, option);
	if (options->driver <= 0 || options->seconds <= 0 || !options->report || optind < argc)
		usage();
}
