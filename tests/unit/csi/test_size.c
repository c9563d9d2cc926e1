/* csi/size: capacity ranges. */
#include "csi/size.h"

#include "unit.h"

#define MI (1ll << 20)

static struct volume_record kind(const char *fs_type, bool block)
{
	struct volume_record record = { .block = block };
	struct text_pair pair = { "fsType", fs_type };
	struct err e = { 0 };

	assert_int_equal(params_parse(&pair, 1, &record.params, &e), 0);
	return record;
}

static int new_size(struct volume_record *record, int64_t required, int64_t limit, uint64_t *bytes,
		    struct err *e)
{
	Csi__V1__CapacityRange range = CSI__V1__CAPACITY_RANGE__INIT;

	range.required_bytes = required;
	range.limit_bytes = limit;
	return size_of_new(&range, record, bytes, e);
}

static void sizes_are_rounded_to_sectors(void **state)
{
	struct volume_record record = kind("ext4", false);
	struct err e = { 0 };
	uint64_t bytes;

	(void)state;
	assert_int_equal(size_of_new(NULL, &record, &bytes, &e), 0);
	assert_true(bytes == 1ull << 30);
	assert_int_equal(new_size(&record, 64 * MI + 1, 0, &bytes, &e), 0);
	assert_int_equal(bytes, 64 * MI + 4096);
	assert_int_equal(new_size(&record, 1, 0, &bytes, &e), 0);
	assert_int_equal(bytes, fs_min_bytes(FS_EXT4));
	assert_int_equal(new_size(&record, 0, 100 * MI, &bytes, &e), 0);
	assert_int_equal(bytes, 100 * MI);
	volume_record_done(&record);
}

static void impossible_ranges_are_named(void **state)
{
	struct volume_record ext4 = kind("ext4", false), xfs = kind("xfs", false);
	struct err e = { 0 };
	uint64_t bytes;

	(void)state;
	assert_int_equal(new_size(&ext4, 0, 0, &bytes, &e), -1);
	assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
	assert_int_equal(new_size(&ext4, -1, 0, &bytes, &e), -1);
	assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
	assert_int_equal(new_size(&ext4, 2 * MI, 1 * MI, &bytes, &e), -1);
	assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
	assert_int_equal(new_size(&ext4, 64 * MI + 1, 64 * MI + 2, &bytes, &e), -1);
	assert_int_equal(e.code, ERR_OUT_OF_RANGE);
	assert_int_equal(new_size(&ext4, INT64_MAX, 0, &bytes, &e), -1);
	assert_int_equal(e.code, ERR_OUT_OF_RANGE);
	assert_int_equal(new_size(&xfs, 299 * MI, 0, &bytes, &e), -1);
	assert_int_equal(e.code, ERR_OUT_OF_RANGE);
	assert_int_equal(new_size(&xfs, 300 * MI, 0, &bytes, &e), 0);
	volume_record_done(&ext4);
	volume_record_done(&xfs);
}

static void growing_never_shrinks(void **state)
{
	struct volume_record record = kind("ext4", false);
	Csi__V1__CapacityRange range = CSI__V1__CAPACITY_RANGE__INIT;
	struct err e = { 0 };
	uint64_t bytes;

	(void)state;
	record.capacity_bytes = 128 * MI;
	range.required_bytes = 64 * MI;
	assert_int_equal(size_of_grown(&range, &record, &bytes, &e), 0);
	assert_int_equal(bytes, 128 * MI);
	range.required_bytes = 256 * MI;
	assert_int_equal(size_of_grown(&range, &record, &bytes, &e), 0);
	assert_int_equal(bytes, 256 * MI);
	range = (Csi__V1__CapacityRange)CSI__V1__CAPACITY_RANGE__INIT;
	range.required_bytes = 64 * MI;
	range.limit_bytes = 100 * MI;
	assert_int_equal(size_of_grown(&range, &record, &bytes, &e), -1);
	assert_int_equal(e.code, ERR_OUT_OF_RANGE);
	assert_int_equal(size_of_grown(NULL, &record, &bytes, &e), -1);
	volume_record_done(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_rounded_to_sectors),
		cmocka_unit_test(impossible_ranges_are_named),
		cmocka_unit_test(growing_never_shrinks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
