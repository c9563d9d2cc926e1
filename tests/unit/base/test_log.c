/* base/log: a line is whole, whatever it is about. */
#include "base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

/* Logs into a pipe instead of standard error; what was written. */
static const char *logged(const char *key, const char *text, const char *more)
{
	static char line[8192];
	int ends[2], kept = dup(STDERR_FILENO);

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	log_info("event", KV(key, text), KV("more", more), KV("number", -5));
	dup2(kept, STDERR_FILENO);
	close(ends[1]);
	ssize_t got = read(ends[0], line, sizeof(line) - 1);
	assert_true(got > 0);
	line[got] = '\0';
	close(ends[0]);
	close(kept);
	return line;
}

static json_t *parsed(const char *line)
{
	json_error_t why;
	json_t *root = json_loads(line, 0, &why);

	if (!root)
		fail_msg("not JSON: %s: %s", why.text, line);
	assert_int_equal(line[strlen(line) - 1], '\n');
	assert_true(strlen(line) <= 4096);
	return root;
}

static void control_characters_are_escaped(void **state)
{
	(void)state;
	log_setup(LOG_JSON, LOG_INFO);
	json_t *root = parsed(logged("what", "a\"b\\c\n\x1b[31m", "\xc3\xa4"));
	assert_string_equal(json_string_value(json_object_get(root, "what")), "a\"b\\c\n\x1b[31m");
	assert_string_equal(json_string_value(json_object_get(root, "more")), "\xc3\xa4");
	assert_int_equal(json_integer_value(json_object_get(root, "number")), -5);
	json_decref(root);
}

/* The text is cut, between characters; what then has no room is left out. */
static void a_line_that_is_cut_is_json(void **state)
{
	static char text[3 * 5000 + 1];
	size_t width = 3;

	(void)state;
	log_setup(LOG_JSON, LOG_INFO);
	for (size_t length = 3700; length < 4200; length++) {
		size_t used = 0;

		for (size_t i = 0; i < length / width; i++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "\xe2\x82\xac");
		for (size_t i = 0; i < length % width; i++)
			text[used++] = '"';
		text[used] = '\0';
		json_decref(parsed(logged("what", text, "behind it")));
		json_decref(parsed(logged("a key of some length", "short", text)));
	}
}

static void text_lines_are_for_people(void **state)
{
	(void)state;
	log_setup(LOG_TEXT, LOG_INFO);
	const char *line = logged("what", "a b", "c\nd");
	assert_non_null(strstr(line, " info event what=\"a b\" more=\"c\\u000ad\" number=-5\n"));
}

/* Whoever reads it has stopped: what is written then is lost, and the work goes on. */
static void a_log_that_nobody_reads_stops_nothing(void **state)
{
	int ends[2], kept = dup(STDERR_FILENO);
	char line[4096];

	(void)state;
	log_setup(LOG_TEXT, LOG_INFO);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	alarm(60);
	for (int i = 0; i < 10000; i++)
		log_info("event", KV("number", i));
	alarm(0);
	/* It is written again once there is room. */
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	while (read(ends[0], line, sizeof(line)) > 0)
		;
	log_always("again");
	dup2(kept, STDERR_FILENO);
	close(ends[1]);
	ssize_t got = read(ends[0], line, sizeof(line) - 1);
	assert_true(got > 0);
	line[got] = '\0';
	assert_non_null(strstr(line, " info again\n"));
	close(ends[0]);
	close(kept);
}

static void a_level_drops_all_but_what_is_waited_for(void **state)
{
	(void)state;
	log_setup(LOG_TEXT, LOG_ERROR);
	int ends[2], kept = dup(STDERR_FILENO);
	char line[4096];

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	log_warn("dropped");
	log_always("listening");
	dup2(kept, STDERR_FILENO);
	close(ends[1]);
	ssize_t got = read(ends[0], line, sizeof(line) - 1);
	assert_true(got > 0);
	line[got] = '\0';
	assert_null(strstr(line, "dropped"));
	assert_non_null(strstr(line, " info listening\n"));
	close(ends[0]);
	close(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_characters_are_escaped),
		cmocka_unit_test(a_line_that_is_cut_is_json),
		cmocka_unit_test(text_lines_are_for_people),
		cmocka_unit_test(a_log_that_nobody_reads_stops_nothing),
		cmocka_unit_test(a_level_drops_all_but_what_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
