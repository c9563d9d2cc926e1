/* JSON and descriptors over a unix socket. */
#include "s3/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int) * PACKET_FDS_MAX)];
};

void packet_done(struct packet *packet)
{
	json_decref(packet->json);
	for (int i = 0; i < PACKET_FDS_MAX; i++)
		cleanup_close(&packet->fds[i]);
}

static size_t count_fds(const struct packet *packet)
{
	size_t count = 0;

	while (count < PACKET_FDS_MAX && packet->fds[count] >= 0)
		count++;
	return count;
}

int packet_send(int socket, const struct packet *packet)
{
	auto_free char *text = json_text(packet->json);
	size_t count = count_fds(packet);
	union control control = { 0 };
	struct iovec part = { .iov_base = text, .iov_len = strlen(text) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (part.iov_len > PACKET_BYTES_MAX)
		return -EMSGSIZE;
	if (count) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(&control.head), packet->fds, sizeof(int) * count);
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void take_fds(struct msghdr *message, struct packet *packet)
{
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head;
	     head = CMSG_NXTHDR(message, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(packet->fds, CMSG_DATA(head),
		       sizeof(int) * (count < PACKET_FDS_MAX ? count : PACKET_FDS_MAX));
	}
}

int packet_receive(int socket, struct packet *ret_packet)
{
	auto_packet struct packet packet = PACKET_NONE;
	auto_free char *text = xcalloc(1, PACKET_BYTES_MAX + 1);
	union control control = { 0 };
	struct iovec part = { .iov_base = text, .iov_len = PACKET_BYTES_MAX };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		/* Its padding would hold one descriptor more, which nobody took. */
		.msg_controllen = CMSG_LEN(sizeof(packet.fds))
	};
	struct err ignored;
	ssize_t got;

	do {
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	take_fds(&message, &packet);
	if (got == 0)
		return -EPIPE;
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EPROTO;
	packet.json = json_parse_object(text, "packet", &ignored);
	if (!packet.json)
		return -EPROTO;
	*ret_packet = packet;
	packet = PACKET_NONE;
	return 0;
}
