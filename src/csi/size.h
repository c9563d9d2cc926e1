/* Sizes: what a capacity range of a request means for a volume. Pure. */
#ifndef CSI_SIZE_H
#define CSI_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "gen/csi.pb-c.h"
#include "volume/record.h"

/* Bytes of the largest volume: above it ext4 and the loop device end anyway. */
#define SIZE_LARGEST (8ull << 50)

/* The smallest volume of this kind, in bytes. */
uint64_t size_min(const struct volume_record *record);

/*
 * The size of a new volume: `required` rounded up to a whole encryption sector and to what the
 * file system needs, 1 GiB (or the limit) without a range. INVALID_ARGUMENT for a range that is
 * zero, negative or upside down; OUT_OF_RANGE when it allows no size that works.
 */
int size_of_new(const Csi__V1__CapacityRange *range, const struct volume_record *record,
		uint64_t *ret_bytes, struct err *e) MUST_CHECK;

/* The size to grow to. A range below the current size gives the current size (CSI: idempotent).
 * INVALID_ARGUMENT and OUT_OF_RANGE as above. */
int size_of_grown(const Csi__V1__CapacityRange *range, const struct volume_record *record,
		  uint64_t *ret_bytes, struct err *e) MUST_CHECK;

/* Whether the size that a volume has lies within the range. */
bool size_fits(const Csi__V1__CapacityRange *range, const struct volume_record *record);

#endif
