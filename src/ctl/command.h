/* The tables of commands and options: help, parsing and completion are made from them. */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include <stddef.h>

#include "ctl/ctl.h"

struct ctl_command {
	const char *group, *name;
	const char *words; /* "ID", "" */
	int count;	   /* of words */
	ctl_run *run;
	const char *help;
};

extern const struct ctl_command ctl_commands[];
extern const size_t ctl_command_count;

enum ctl_value { CTL_PATH, CTL_TEXT, CTL_NUMBER, CTL_FLAG };

struct ctl_option {
	const char *name; /* with its dashes */
	enum ctl_value kind;
	size_t offset;		 /* of the value in struct ctl */
	const char *placeholder; /* of its value; NULL: it takes none */
	const char *help;
};

extern const struct ctl_option ctl_options[];
extern const size_t ctl_option_count;

/*
 * Takes options out of argv and leaves *ret_count words at its front. INVALID_ARGUMENT names what
 * is not understood, and the nearest word that would be.
 */
int ctl_parse(int argc, char *argv[], struct ctl *ctl, int *ret_count, struct err *e) MUST_CHECK;

/* The command that the first words name. */
int ctl_command_find(int count, char *words[], const struct ctl_command **ret_command,
		     struct err *e) MUST_CHECK;

/* Writes the help text to standard output. */
void ctl_help(void);

#endif
