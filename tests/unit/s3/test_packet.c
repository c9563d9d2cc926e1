/* s3/packet: JSON and descriptors between two processes. */
#include "s3/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

static void open_pair(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static void an_object_and_its_descriptors_arrive(void **state)
{
	int ends[2], memory = memfd_create("packet", MFD_CLOEXEC);
	struct packet sent = PACKET_NONE;
	auto_packet struct packet got = PACKET_NONE;
	char text[8] = "";

	(void)state;
	open_pair(ends);
	assert_int_equal(write(memory, "config", 6), 6);
	sent.json = json_object();
	json_object_set_new(sent.json, "volume", json_string("pvc-1"));
	sent.fds[0] = memory;
	assert_int_equal(packet_send(ends[0], &sent), 0);
	packet_done(&sent);

	assert_int_equal(packet_receive(ends[1], &got), 0);
	assert_string_equal(json_string_value(json_object_get(got.json, "volume")), "pvc-1");
	assert_true(got.fds[0] >= 0);
	assert_int_equal(got.fds[1], -1);
	assert_int_equal(fcntl(got.fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(pread(got.fds[0], text, 6, 0), 6);
	assert_string_equal(text, "config");
	close(ends[0]);
	close(ends[1]);
}

static void a_closed_end_and_what_is_no_json_are_errors(void **state)
{
	auto_packet struct packet got = PACKET_NONE;
	int ends[2];

	(void)state;
	open_pair(ends);
	assert_int_equal(send(ends[0], "not json", 8, 0), 8);
	assert_int_equal(packet_receive(ends[1], &got), -EPROTO);
	close(ends[0]);
	assert_int_equal(packet_receive(ends[1], &got), -EPIPE);
	close(ends[1]);
}

static void a_packet_that_is_too_large_is_not_sent(void **state)
{
	static char large[PACKET_BYTES_MAX + 1];
	struct packet sent = PACKET_NONE;
	int ends[2];

	(void)state;
	open_pair(ends);
	memset(large, 'x', sizeof(large) - 1);
	sent.json = json_object();
	json_object_set_new(sent.json, "text", json_string(large));
	assert_int_equal(packet_send(ends[0], &sent), -EMSGSIZE);
	packet_done(&sent);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_and_its_descriptors_arrive),
		cmocka_unit_test(a_closed_end_and_what_is_no_json_are_errors),
		cmocka_unit_test(a_packet_that_is_too_large_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
