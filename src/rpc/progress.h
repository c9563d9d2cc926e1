/*
 * Where the byte stream of a peer stands between HTTP/2 frames: a peer that stops inside one
 * holds a connection for nothing. A header block in several frames counts as one. Pure.
 */
#ifndef RPC_PROGRESS_H
#define RPC_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

struct progress {
	size_t preface_left;
	size_t payload_left;
	uint8_t head[9];
	size_t head_used;
	int64_t since_ms; /* when the frame or header block began that is not complete; 0: none */
};

void progress_init(struct progress *progress);

/* Follows received bytes; now_ms is not 0. */
void progress_feed(struct progress *progress, const uint8_t *bytes, size_t size, int64_t now_ms);

#endif
