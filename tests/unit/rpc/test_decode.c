/* rpc/decode.c and rpc/utf8.c: what is refused before protobuf-c sees it. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "gen/csi.pb-c.h"
#include "rpc/decode.h"
#include "rpc/utf8.h"

#define STAGE (&csi__v1__node_stage_volume_request__descriptor)

struct sample {
	const char *bytes;
	size_t size;
	const char *msg; /* NULL: malformed, "": fine */
};
#define SAMPLE(bytes, msg)                                                                         \
	{                                                                                          \
		bytes, sizeof(bytes) - 1, msg                                                      \
	}

static const struct sample samples[] = {
	SAMPLE("", ""),
	SAMPLE("\x0a\x02id", ""),
	SAMPLE("\x0a\x00", ""),
	SAMPLE("\x2a\x06\x0a\x01k\x12\x01v", ""),
	SAMPLE("\x2a\x00", ""),
	SAMPLE("\xf8\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ""),
	SAMPLE("\xf9\x07"
	       "12345678",
	       ""),
	SAMPLE("\xfd\x07"
	       "1234",
	       ""),
	SAMPLE("\xfa\x07\x02\0\xff", ""),
	SAMPLE("\x0a\x01\0", "field 'volume_id' holds a NUL byte"),
	SAMPLE("\x0a\x01\xff", "field 'volume_id' is not valid UTF-8"),
	SAMPLE("\x2a\x03\x0a\x01\0", "field 'secrets.key' holds a NUL byte"),
	SAMPLE("\x2a\x03\x12\x01\x80", "field 'secrets.value' is not valid UTF-8"),
	SAMPLE("\x22\x05\x12\x03\x12\x01\0",
	       "field 'volume_capability.mount.mount_flags' holds a NUL byte"),
	SAMPLE("\x0a", NULL),
	SAMPLE("\x0a\x05"
	       "abcd",
	       NULL),
	SAMPLE("\x0a\x80", NULL),
	SAMPLE("\x22\x02\x12\x01", NULL),
	SAMPLE("\x00", NULL),
	SAMPLE("\x02\x00", NULL),
	SAMPLE("\x0b\x0c", NULL),
	SAMPLE("\x0e", NULL),
	SAMPLE("\xf9\x07"
	       "1234567",
	       NULL),
	SAMPLE("\xfd\x07"
	       "123",
	       NULL),
	SAMPLE("\xf8\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", NULL),
	SAMPLE("\xf8\x07\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", NULL),
	SAMPLE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", NULL),
	SAMPLE("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", NULL),
};

static void every_sample(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		/* Exactly as large as the message, for the sanitizer. */
		uint8_t *bytes = malloc(samples[i].size ? samples[i].size : 1);
		struct err e = { 0 };

		assert_non_null(bytes);
		memcpy(bytes, samples[i].bytes, samples[i].size);
		enum decode_verdict verdict = decode_check(STAGE, bytes, samples[i].size, &e);
		free(bytes);
		if (!samples[i].msg) {
			assert_int_equal(verdict, DECODE_MALFORMED);
			assert_int_equal(e.code, ERR_OK);
			continue;
		}
		assert_string_equal(e.msg, samples[i].msg);
		assert_int_equal(verdict, e.msg[0] ? DECODE_BAD_TEXT : DECODE_OK);
		assert_int_equal(e.code, e.msg[0] ? ERR_INVALID_ARGUMENT : ERR_OK);
	}
}

/* Random bytes: no sanitizer speaks, and protobuf-c takes nothing that has bad text in it. */
static void random_bytes(void **state)
{
	unsigned seed = 1, taken = 0;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		uint8_t bytes[24];
		size_t size = (size_t)rand_r(&seed) % sizeof(bytes);
		struct err e = { 0 };

		for (size_t i = 0; i < size; i++)
			bytes[i] =
				(uint8_t)(rand_r(&seed) % 3 ? rand_r(&seed) % 48 : rand_r(&seed));
		if (decode_check(STAGE, bytes, size, &e) != DECODE_OK)
			continue;
		ProtobufCMessage *message = protobuf_c_message_unpack(STAGE, NULL, size, bytes);
		if (!message)
			continue;
		taken++;
		const Csi__V1__NodeStageVolumeRequest *request = (const void *)message;
		for (const char *at = request->volume_id; *at;) {
			size_t length = utf8_char((const uint8_t *)at, strlen(at));

			assert_true(length > 0);
			at += length;
		}
		protobuf_c_message_free_unpacked(message, NULL);
	}
	assert_true(taken > 1000);
}

static void utf8(void **state)
{
	static const struct {
		const char *text;
		size_t size, length;
	} cases[] = {
		{ "a", 1, 1 },
		{ "\0", 1, 1 },
		{ "", 0, 0 },
		{ "\xc2\x80", 2, 2 },
		{ "\xc1\xbf", 2, 0 },
		{ "\xdf\xbf", 2, 2 },
		{ "\xdf\xbf", 1, 0 },
		{ "\xe0\xa0\x80", 3, 3 },
		{ "\xe0\x9f\xbf", 3, 0 },
		{ "\xed\x9f\xbf", 3, 3 },
		{ "\xed\xa0\x80", 3, 0 },
		{ "\xef\xbf\xbf", 3, 3 },
		{ "\xf0\x90\x80\x80", 4, 4 },
		{ "\xf0\x8f\xbf\xbf", 4, 0 },
		{ "\xf4\x8f\xbf\xbf", 4, 4 },
		{ "\xf4\x90\x80\x80", 4, 0 },
		{ "\xf5\x80\x80\x80", 4, 0 },
		{ "\x80", 1, 0 },
		{ "\xe2\x82", 2, 0 },
		{ "\xc2\x41", 2, 0 },
		{ "\xff", 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(utf8_char((const uint8_t *)cases[i].text, cases[i].size),
				 cases[i].length);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sample),
		cmocka_unit_test(random_bytes),
		cmocka_unit_test(utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
