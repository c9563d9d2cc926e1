/* Where a peer stands between HTTP/2 frames. */
#include "rpc/progress.h"

#include <stdbool.h>
#include <string.h>

#define PREFACE_SIZE 24
#define TYPE_HEADERS 1
#define TYPE_CONTINUATION 9
#define FLAG_END_HEADERS 4

void progress_init(struct progress *progress)
{
	*progress = (struct progress){ .preface_left = PREFACE_SIZE };
}

static void skip(size_t *left, const uint8_t **bytes, size_t *size)
{
	size_t step = *size < *left ? *size : *left;

	*left -= step;
	*bytes += step;
	*size -= step;
}

static void end_frame(struct progress *progress)
{
	bool of_block = progress->head[3] == TYPE_HEADERS || progress->head[3] == TYPE_CONTINUATION;

	progress->head_used = 0;
	if (!of_block || (progress->head[4] & FLAG_END_HEADERS))
		progress->since_ms = 0;
}

void progress_feed(struct progress *progress, const uint8_t *bytes, size_t size, int64_t now_ms)
{
	skip(&progress->preface_left, &bytes, &size);
	while (size) {
		const size_t wanted = sizeof(progress->head);

		if (!progress->since_ms)
			progress->since_ms = now_ms;
		while (size && progress->head_used < wanted) {
			progress->head[progress->head_used++] = *bytes++;
			size--;
			if (progress->head_used == wanted)
				progress->payload_left = (size_t)progress->head[0] << 16 |
							 (size_t)progress->head[1] << 8 |
							 progress->head[2];
		}
		if (progress->head_used < wanted)
			return;
		skip(&progress->payload_left, &bytes, &size);
		if (!progress->payload_left)
			end_frame(progress);
	}
}
