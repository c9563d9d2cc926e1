/* Answers as HTTP/2 frames: a message and trailers, or trailers only. */
#ifndef RPC_REPLY_H
#define RPC_REPLY_H

#include "rpc/stream.h"

/* Answers what is not gRPC by an HTTP status, "415". */
void reply_http(struct stream *stream, const char *status);

/* The callback of nghttp2: stops a client that still sends when it has its answer. */
int reply_on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *data);

#endif
