/*
 * What every fuzz target includes: reading the input piece by piece, and saying what must hold.
 * An input that has ended gives zeroes and empty texts, so that every input is a valid one.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct input {
	const uint8_t *at;
	size_t left;
};

uint8_t input_u8(struct input *input);
unsigned input_u16(struct input *input); /* big-endian */

/* At most `size` bytes; *ret_size is how many there were. Borrowed from the input. */
const uint8_t *input_bytes(struct input *input, size_t size, size_t *ret_size);

/* The text up to the next newline or the end, without NUL bytes; owned by the caller. */
char *input_line(struct input *input);

/* All that is left as a text without NUL bytes; owned by the caller. */
char *input_text(struct input *input);

/* Ends the process when something is not so: the fuzzer prints the stack and keeps the input. */
#define FUZZ_CHECK(fact)                                                                           \
	do {                                                                                       \
		if (!(fact))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

/* What every failure owes its caller: a code of gRPC, and a sentence that can be printed. */
void check_error(const struct err *e);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#endif
