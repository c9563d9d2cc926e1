/* Sizes of volumes. */
#include "csi/size.h"

#include <inttypes.h>
#include <string.h>

#define DEFAULT_BYTES (1ull << 30)
#define SECTOR_BYTES 4096ull

/* In S3 there is no file system of ours, and the size is bookkeeping. */
static bool has_fs(const struct volume_record *record)
{
	return !record->block && params_backend(&record->params) == BACKEND_LOCAL;
}

uint64_t size_min(const struct volume_record *record)
{
	return has_fs(record) ? fs_min_bytes(params_fs_type(&record->params)) : 1 << 20;
}

static int check_range(const Csi__V1__CapacityRange *range, struct err *e)
{
	if (range->required_bytes < 0 || range->limit_bytes < 0)
		return err_set(e, ERR_INVALID_ARGUMENT, "capacity range is negative");
	if (range->required_bytes == 0 && range->limit_bytes == 0)
		return err_set(e, ERR_INVALID_ARGUMENT, "capacity range is zero: ask for a size");
	if (range->limit_bytes && range->limit_bytes < range->required_bytes)
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "capacity limit of %" PRId64 " bytes is below the required %" PRId64,
			       range->limit_bytes, range->required_bytes);
	if ((uint64_t)range->required_bytes > SIZE_LARGEST)
		return err_set(e, ERR_OUT_OF_RANGE, "a volume of %" PRId64 " bytes is too large",
			       range->required_bytes);
	return 0;
}

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
}

static int check_limit(const Csi__V1__CapacityRange *range, uint64_t bytes, struct err *e)
{
	if (range->limit_bytes && bytes > (uint64_t)range->limit_bytes)
		return err_set(e, ERR_OUT_OF_RANGE,
			       "the volume needs %" PRIu64
			       " bytes (rounded to whole sectors), the limit is "
			       "%" PRId64,
			       bytes, range->limit_bytes);
	return 0;
}

int size_of_new(const Csi__V1__CapacityRange *range, const struct volume_record *record,
		uint64_t *ret_bytes, struct err *e)
{
	uint64_t bytes = DEFAULT_BYTES, smallest = size_min(record);
	bool xfs = has_fs(record) && params_fs_type(&record->params) == FS_XFS;

	if (!range) {
		*ret_bytes = bytes;
		return 0;
	}
	if (check_range(range, e) < 0)
		return -1;
	if (range->required_bytes)
		bytes = round_up((uint64_t)range->required_bytes);
	else if ((uint64_t)range->limit_bytes < bytes)
		bytes = (uint64_t)range->limit_bytes / SECTOR_BYTES * SECTOR_BYTES;
	/* A small ext4 is rounded up; for xfs the difference would be a surprise. */
	if (bytes < smallest && xfs)
		return err_set(e, ERR_OUT_OF_RANGE,
			       "an xfs volume needs at least %" PRIu64 " bytes (300 MiB), %" PRIu64
			       " are asked for: ask for more or use ext4",
			       smallest, bytes);
	if (bytes < smallest)
		bytes = smallest;
	if (check_limit(range, bytes, e) < 0)
		return -1;
	*ret_bytes = bytes;
	return 0;
}

int size_of_grown(const Csi__V1__CapacityRange *range, const struct volume_record *record,
		  uint64_t *ret_bytes, struct err *e)
{
	uint64_t bytes;

	if (!range)
		return err_set(e, ERR_INVALID_ARGUMENT, "capacity range is missing");
	if (check_range(range, e) < 0)
		return -1;
	bytes = round_up((uint64_t)range->required_bytes);
	/* Nothing shrinks: a smaller request is met by what is there, a smaller limit is not. */
	if (bytes < record->capacity_bytes)
		bytes = record->capacity_bytes;
	if (check_limit(range, bytes, e) < 0)
		return -1;
	*ret_bytes = bytes;
	return 0;
}

bool size_fits(const Csi__V1__CapacityRange *range, const struct volume_record *record)
{
	struct err ignored;
	uint64_t wanted;

	if (!range || size_of_new(range, record, &wanted, &ignored) < 0)
		return !range;
	return wanted <= record->capacity_bytes &&
	       (!range->limit_bytes || record->capacity_bytes <= (uint64_t)range->limit_bytes) &&
	       (range->limit_bytes || wanted == record->capacity_bytes);
}
