/* options: what syscallpoint is told to do, and to whom. */
#ifndef TORTURE_OPTIONS_H
#define TORTURE_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * Whose calls are counted, and who dies. The last two count the calls of the programs that the
 * worker starts (mke2fs, ...): with TARGET_CHILDREN the worker dies, and they with it; with
 * TARGET_PROGRAM only the program.
 */
enum target { TARGET_WORKER, TARGET_DRIVER, TARGET_BOTH, TARGET_CHILDREN, TARGET_PROGRAM };

struct options {
	pid_t driver;
	unsigned long at; /* 0: never, only count */
	int errnum;	  /* 0: kill */
	enum target target;
	bool after; /* kill after the call was made */
	bool list;
	int seconds;
	FILE *report;
};

/* Ends the program with a usage line when an argument is not understood. */
void options_parse(struct options *options, int argc, char **argv);

#endif
