/* Monotonic time, and the time of day as text. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t clock_ms(void);

/* "2026-11-23T05:09:00Z": RFC 3339, UTC. */
#define CLOCK_TEXT_SIZE 32
void clock_text(time_t when, char ret_text[CLOCK_TEXT_SIZE]);

/* The same, of now. */
void clock_utc_text(char ret_text[CLOCK_TEXT_SIZE]);

/* Reads such a text, and no other form. */
bool clock_parse(const char *text, time_t *ret_when);

#endif
