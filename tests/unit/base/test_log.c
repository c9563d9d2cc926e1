/* base/log: a line is whole, whatever it is about. */
#include "base/log.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_characters_are_escaped),
		cmocka_unit_test(a_line_that_is_cut_is_json),
		cmocka_unit_test(text_lines_are_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
