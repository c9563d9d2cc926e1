/* options: what syscallpoint is told to do, and to whom. */
#ifndef TORTURE_OPTIONS_H
#define TORTURE_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* Whose calls are counted, and who dies: programs (mke2fs, ...) die with their worker. */
enum target { TARGET_WORKER, TARGET_DRIVER, TARGET_BOTH, TARGET_CHILDREN };

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
