/* volume/id: names that are safe as file, mapping and lock names. */
#include "volume/id.h"

#include <string.h>

#include "base/macros.h"
#include "unit.h"

static void bad_ids_are_refused(void **state)
{
	static const char *const bad[] = { "",	 "..",	"a..b", "../x", "a/b", ".hidden",
					   "-x", "a b", "a\nb", "\xff", "ä",   "a\x01" };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(volume_id_check(bad[i], &e), -1);
		assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
	}
	assert_int_equal(volume_id_check("pvc-3f2a.b_C", &e), 0);
}

static void length_ends_at_128_bytes(void **state)
{
	char id[VOLUME_ID_MAX + 2];
	struct err e = { 0 };

	(void)state;
	memset(id, 'x', sizeof(id));
	id[VOLUME_ID_MAX] = '\0';
	assert_int_equal(volume_id_check(id, &e), 0);
	id[VOLUME_ID_MAX] = 'x';
	id[VOLUME_ID_MAX + 1] = '\0';
	assert_int_equal(volume_id_check(id, &e), -1);
}

static void a_plain_name_is_its_id_and_others_are_hashed(void **state)
{
	char id[VOLUME_ID_MAX + 1], again[VOLUME_ID_MAX + 1];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(volume_id_from_name("pvc-1", id, &e), 0);
	assert_string_equal(id, "pvc-1");
	assert_int_equal(volume_id_from_name("my volume/ä", id, &e), 0);
	assert_int_equal(volume_id_from_name("my volume/ä", again, &e), 0);
	assert_string_equal(id, again);
	assert_int_equal(volume_id_check(id, &e), 0);
	assert_int_equal(volume_id_from_name("my volume/ö", again, &e), 0);
	assert_string_not_equal(id, again);
	assert_int_equal(volume_id_from_name("../../etc", id, &e), -1);
	assert_int_equal(volume_id_from_name("", id, &e), -1);
}

static void mapping_names_fit_device_mapper(void **state)
{
	char id[VOLUME_ID_MAX + 1], other[VOLUME_ID_MAX + 1];
	char name[VOLUME_NAME_SIZE], name_of_other[VOLUME_NAME_SIZE];

	(void)state;
	volume_mapping_name("pvc-1", name);
	assert_string_equal(name, "luks-pvc-1");
	memset(id, 'x', VOLUME_ID_MAX);
	id[VOLUME_ID_MAX] = '\0';
	memcpy(other, id, sizeof(id));
	other[VOLUME_ID_MAX - 1] = 'y';
	volume_mapping_name(id, name);
	volume_mapping_name(other, name_of_other);
	assert_true(strlen(name) <= 127);
	assert_string_not_equal(name, name_of_other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_ids_are_refused),
		cmocka_unit_test(length_ends_at_128_bytes),
		cmocka_unit_test(a_plain_name_is_its_id_and_others_are_hashed),
		cmocka_unit_test(mapping_names_fit_device_mapper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
