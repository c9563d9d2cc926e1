/* rpc/head.c and rpc/status.c: headers of requests and words in headers. */
#include "unit.h"

#include <string.h>

#include "rpc/head.h"
#include "rpc/status.h"

static void take(struct head *head, const char *name, const char *value)
{
	head_take(head, (const uint8_t *)name, strlen(name), (const uint8_t *)value, strlen(value),
		  1000);
}

static struct head good(void)
{
	struct head head = { 0 };

	take(&head, ":method", "POST");
	take(&head, ":path", "/a/b");
	take(&head, "content-type", "application/grpc");
	take(&head, ":authority", "/run/csi.sock");
	return head;
}

static enum head_verdict judge(const struct head *head, const char **http, struct err *e)
{
	return head_judge(head, 1000, http, e);
}

static void a_good_request(void **state)
{
	struct head head = good();
	const char *http = NULL;
	struct err e = { 0 };

	(void)state;
	take(&head, "grpc-timeout", "250m");
	take(&head, "grpc-encoding", "identity");
	assert_int_equal(judge(&head, &http, &e), HEAD_OK);
	assert_string_equal(head.path, "/a/b");
	assert_true(head.timeout_seen);
	assert_int_equal(head.timeout_ms, 250);
}

static void bad_requests(void **state)
{
	static const struct {
		const char *name, *value;
		enum head_verdict verdict;
	} cases[] = {
		{ ":path", "/again", HEAD_RESET },
		{ ":method", "POST", HEAD_RESET },
		{ "content-type", "text/plain", HEAD_HTTP },
		{ "grpc-encoding", "gzip", HEAD_STATUS },
		{ "grpc-timeout", "1x", HEAD_STATUS },
		{ "x", "y", HEAD_OK },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct head head = good();
		const char *http = NULL;
		struct err e = { 0 };

		take(&head, cases[i].name, cases[i].value);
		assert_int_equal(judge(&head, &http, &e), cases[i].verdict);
		assert_int_equal(e.code != ERR_OK, cases[i].verdict == HEAD_STATUS);
		assert_int_equal(http != NULL, cases[i].verdict == HEAD_HTTP);
	}
}

static void values_may_hold_any_byte(void **state)
{
	struct head head = good();
	const char *http = NULL;
	struct err e = { 0 };

	(void)state;
	head_take(&head, (const uint8_t *)"x\0y", 3, (const uint8_t *)"\0\xff", 2, 1000);
	assert_int_equal(judge(&head, &http, &e), HEAD_OK);
	head = (struct head){ 0 };
	head_take(&head, (const uint8_t *)":path", 5, (const uint8_t *)"/a\0b", 4, 1000);
	assert_int_equal(judge(&head, &http, &e), HEAD_RESET);
}

static void size_is_counted_with_overhead(void **state)
{
	struct head head = good();
	const char *http = NULL;
	struct err e = { 0 };
	size_t before = head.bytes;

	(void)state;
	take(&head, "ab", "cde");
	assert_int_equal(head.bytes, before + 37);
	assert_int_equal(head_judge(&head, head.bytes, &http, &e), HEAD_OK);
	assert_int_equal(head_judge(&head, head.bytes - 1, &http, &e), HEAD_STATUS);
	assert_int_equal(e.code, ERR_RESOURCE_EXHAUSTED);
}

static void timeouts(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "1H", 3600000 },
		{ "2M", 120000 },
		{ "3S", 3000 },
		{ "4m", 4 },
		{ "1u", 1 },
		{ "1001u", 2 },
		{ "1n", 1 },
		{ "1000001n", 2 },
		{ "0S", 0 },
		{ "5", -1 },
		{ "S", -1 },
		{ "", -1 },
		{ "1s", -1 },
		{ "-1S", -1 },
		{ "123456789S", -1 },
		{ "1 S", -1 },
		{ "99999999H", 359999996400000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t ms = -1;

		assert_int_equal(status_parse_timeout(cases[i].text, strlen(cases[i].text), &ms),
				 cases[i].ms >= 0);
		assert_int_equal(ms, cases[i].ms);
	}
}

static void messages(void **state)
{
	static const struct {
		const char *text, *encoded;
	} cases[] = {
		{ "", "" },
		{ "plain ~!", "plain ~!" },
		{ "100%\n", "100%25%0A" },
		{ "\xc3\xbc", "%C3%BC" },
		{ "\xf0\x9f\x94\x91", "%F0%9F%94%91" },
		{ "cut \xc3", "cut ?" },
		{ "\xff\x7f", "?%7F" },
		{ "\xed\xa0\x80", "???" },
	};
	char encoded[STATUS_MESSAGE_SIZE];
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t size = status_encode(cases[i].text, encoded);

		assert_string_equal(encoded, cases[i].encoded);
		assert_int_equal(size, strlen(encoded));
	}
	memset(e.msg, '%', sizeof(e.msg));
	assert_int_equal(status_encode(e.msg, encoded), STATUS_MESSAGE_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_request),
		cmocka_unit_test(bad_requests),
		cmocka_unit_test(values_may_hold_any_byte),
		cmocka_unit_test(size_is_counted_with_overhead),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
