/* Time. */
#include "base/clock.h"

int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#define LAYOUT "%Y-%m-%dT%H:%M:%SZ"

void clock_text(time_t when, char ret_text[CLOCK_TEXT_SIZE])
{
	struct tm utc;

	gmtime_r(&when, &utc);
	strftime(ret_text, CLOCK_TEXT_SIZE, LAYOUT, &utc);
}

void clock_utc_text(char ret_text[CLOCK_TEXT_SIZE])
{
	clock_text(time(NULL), ret_text);
}

bool clock_parse(const char *text, time_t *ret_when)
{
	struct tm utc = { 0 };
	const char *end = strptime(text, LAYOUT, &utc);

	if (!end || *end)
		return false;
	*ret_when = timegm(&utc);
	return true;
}
