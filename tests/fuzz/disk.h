/*
 * A small disk in memory, written by a fuzzer's input: places and bytes, so that an input of some
 * hundred bytes can have signatures everywhere.
 */
#ifndef FUZZ_DISK_H
#define FUZZ_DISK_H

#include "input.h"

/*
 * Makes the disk; the caller closes the descriptor. Input: size in units of 4 KiB (2 bytes), then
 * any number of pieces: flags (1), place (3), length (2), bytes. Flag 1: the place counts from the
 * end; flag 2: the piece is the start of a LUKS2 header, which gets a right checksum.
 */
int disk_make(struct input *input);

#endif
