/* base/log: a line is whole, whatever it is about. */
#include "base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

/* A pipe instead of standard error. */
struct capture {
	int ends[2], kept;
};

static struct capture capture_begin(void)
{
	struct capture c = { .kept = dup(STDERR_FILENO) };

	assert_int_equal(pipe(c.ends), 0);
	dup2(c.ends[1], STDERR_FILENO);
	return c;
}

/* What was written. */
static const char *capture_end(struct capture *c)
{
	static char line[8192];

	dup2(c->kept, STDERR_FILENO);
	close(c->ends[1]);
	ssize_t got = read(c->ends[0], line, sizeof(line) - 1);
	assert_true(got > 0);
	line[got] = '\0';
	close(c->ends[0]);
	close(c->kept);
	return line;
}

static const char *logged(const char *key, const char *text, const char *more)
{
	struct capture c = capture_begin();

	log_info("event", KV(key, text), KV("more", more), KV("number", -5));
	return capture_end(&c);
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
	struct capture c = capture_begin();
	char lost[4096];

	(void)state;
	log_setup(LOG_TEXT, LOG_INFO);
	alarm(60);
	for (int i = 0; i < 10000; i++)
		log_info("event", KV("number", i));
	alarm(0);
	/* It is written again once there is room. */
	assert_int_equal(fcntl(c.ends[0], F_SETFL, O_NONBLOCK), 0);
	while (read(c.ends[0], lost, sizeof(lost)) > 0)
		;
	log_always("again");
	assert_non_null(strstr(capture_end(&c), " info again\n"));
}

static void a_level_drops_all_but_what_is_waited_for(void **state)
{
	struct capture c = capture_begin();

	(void)state;
	log_setup(LOG_TEXT, LOG_ERROR);
	log_warn("dropped");
	log_always("listening");
	const char *line = capture_end(&c);
	assert_null(strstr(line, "dropped"));
	assert_non_null(strstr(line, " info listening\n"));
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
