/* One JSON object with descriptors beside it, over a SOCK_SEQPACKET unix socket. */
#ifndef S3_PACKET_H
#define S3_PACKET_H

#include "base/json.h"

#define PACKET_FDS_MAX 3
#define PACKET_BYTES_MAX (32 << 10)

struct packet {
	json_t *json;		 /* owned */
	int fds[PACKET_FDS_MAX]; /* owned when received, borrowed when sent; -1: none */
};
#define PACKET_NONE ((struct packet){ .fds = { -1, -1, -1 } })

/* Frees the JSON and closes the descriptors. */
void packet_done(struct packet *packet);
#define auto_packet __attribute__((cleanup(packet_done)))

/* Both return 0 or -errno; -EPIPE when the other side is gone, -EPROTO for what is no packet. */
int packet_send(int socket, const struct packet *packet) MUST_CHECK;
int packet_receive(int socket, struct packet *ret_packet) MUST_CHECK;

#endif
