/* s3/packet.c: what the mounter and the node plugin hear from each other. */
#include "input.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "s3/packet.h"

/* Sends the bytes with `count` descriptors, which may be more than a packet has room for. */
static void send_bytes(int socket, const struct input *input, unsigned count)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int) * 4)];
	} control = { 0 };
	struct iovec part = { .iov_base = (void *)input->at, .iov_len = input->left };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (count) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int) * count);
		for (unsigned i = 0; i < count; i++)
			((int *)(void *)CMSG_DATA(&control.head))[i] = socket;
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
	}
	FUZZ_CHECK(sendmsg(socket, &message, MSG_NOSIGNAL) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { bytes, size };
	unsigned count = input_u8(&input) % 5;
	auto_packet struct packet packet = PACKET_NONE, again = PACKET_NONE;
	int fds[2];
	int free_before = dup(0), free_after;

	close(free_before);
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	send_bytes(fds[0], &input, count);
	if (packet_receive(fds[1], &packet) == 0) {
		/* What was understood can be passed on. */
		FUZZ_CHECK(json_is_object(packet.json));
		if (packet_send(fds[0], &packet) == 0) {
			FUZZ_CHECK(packet_receive(fds[1], &again) == 0);
			FUZZ_CHECK(json_equal(packet.json, again.json));
		}
	}
	packet_done(&packet);
	packet_done(&again);
	packet = again = PACKET_NONE;
	close(fds[0]);
	close(fds[1]);
	free_after = dup(0);
	close(free_after);
	FUZZ_CHECK(free_before == free_after); /* no descriptor stays behind */
	return 0;
}
