/* Time: monotonic for waiting, of the wall for records. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t clock_ms(void);

/* Now, as records have it: RFC 3339, UTC, to the second. */
#define CLOCK_TEXT_SIZE 32
void clock_utc_text(char ret_text[CLOCK_TEXT_SIZE]);

#endif
