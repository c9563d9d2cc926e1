/* engine/local_restore: a header comes back, and never the wrong one. */
#include "unit.h"

#include "engine/local_admin.h"
#include "engine/local_backup.h"
#include "local_fixture.h"
#include "sys/luks_backup.h"

static void keep_backup(struct fixture *f)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	struct err e = { 0 };

	assert_int_equal(local_volume_open(&f->node, f->folder.path, "v", false, &volume, &e), 0);
	local_backup_ensure(&volume, &f->record);
}

static int restore(struct fixture *f, const char *passphrase, enum local_restored *restored,
		   struct err *e)
{
	auto_secret struct secret *secret = secret_of(passphrase);

	return local_restore_header(&f->node, f->folder.path, "v", secret, restored, e);
}

static void refused(struct fixture *f, const char *passphrase, const char *word)
{
	static unsigned char before[LUKS_HEADER_BYTES], after[LUKS_HEADER_BYTES];
	enum local_restored restored;
	struct err e = { 0 };

	assert_int_equal(pread(f->image, before, sizeof(before), 0), sizeof(before));
	assert_int_equal(restore(f, passphrase, &restored, &e), -1);
	if (!strstr(e.msg, word))
		fail_msg("'%s' is not in: %s", word, e.msg);
	assert_int_equal(pread(f->image, after, sizeof(after), 0), sizeof(after));
	assert_memory_equal(before, after, sizeof(before));
}

static void becomes(struct fixture *f, const char *passphrase, enum local_restored expected)
{
	enum local_restored restored;
	struct err e = { 0 };

	if (restore(f, passphrase, &restored, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(restored, expected);
	assert_true(luks_image_opens(f->image, passphrase));
}

static void a_whole_header_is_left_alone(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "one");
	becomes(&f, "one", LOCAL_RESTORED_NOTHING);
	assert_int_equal(faccessat(f.at.fd, LUKS_BACKUP_NAME, F_OK, 0), 0);
	refused(&f, "wrong", "does not open the header backup");
	fixture_close(&f);
}

/* Every byte. */
static void backup_is_current(const struct fixture *f)
{
	enum luks_backup_state found;
	struct err e = { 0 };

	assert_int_equal(luks_backup_look(f->at.fd, f->image, true, &found, &e), 0);
	assert_int_equal(found, LUKS_BACKUP_CURRENT);
}

static void the_second_copy_goes_before_the_backup(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "one");
	luks_image_damage(f.image, IN_PRIMARY);
	refused(&f, "wrong", "luks-header.backup"); /* there is none */
	becomes(&f, "one", LOCAL_RESTORED_COPY);
	backup_is_current(&f);
	luks_image_damage(f.image, IN_SECONDARY);
	becomes(&f, "one", LOCAL_RESTORED_COPY);
	backup_is_current(&f);
	luks_image_damage(f.image, IN_PRIMARY); /* with a backup of another salt */
	becomes(&f, "one", LOCAL_RESTORED_COPY);
	backup_is_current(&f);
	fixture_close(&f);
}

static void the_backup_brings_back_header_and_keyslots(void **state)
{
	struct fixture f;
	struct err e = { 0 };

	(void)state;
	fixture_open(&f, "one");
	keep_backup(&f);
	luks_image_damage(f.image, IN_PRIMARY);
	luks_image_damage(f.image, IN_SECONDARY);
	refused(&f, "wrong", "does not open the header backup");
	becomes(&f, "one", LOCAL_RESTORED_BACKUP);

	assert_int_equal(image_erase_head(f.image, LUKS_HEADER_BYTES, &e), 0);
	becomes(&f, "one", LOCAL_RESTORED_BACKUP);

	luks_image_damage(f.image, 0x8000 + 5000); /* key material under a whole header */
	assert_false(luks_image_opens(f.image, "one"));
	becomes(&f, "one", LOCAL_RESTORED_BACKUP);
	fixture_close(&f);
}

static void another_uuid_is_refused(void **state)
{
	struct fixture f;
	struct err e = { 0 };

	(void)state;
	fixture_open(&f, "one");
	keep_backup(&f);
	assert_int_equal(image_erase_head(f.image, LUKS_HEADER_BYTES, &e), 0);
	f.record.luks_uuid[0] = '9';
	fixture_write_record(&f);
	refused(&f, "one", "nothing is restored");
	fixture_close(&f);

	fixture_open(&f, "one"); /* the image of another volume, whole */
	keep_backup(&f);
	f.record.luks_uuid[0] = '9';
	fixture_write_record(&f);
	refused(&f, "one", "nothing is restored");
	fixture_close(&f);
}

static void states_without_a_header_are_refused(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "one");
	keep_backup(&f);
	luks_image_damage(f.image, IN_PRIMARY);
	f.record.state = VOLUME_FORMATTING;
	fixture_write_record(&f);
	refused(&f, "one", "no header to restore");
	assert_int_equal(unlinkat(f.at.fd, VOLUME_RECORD_NAME, 0), 0);
	refused(&f, "one", "is missing");
	fixture_close(&f);
}

/* What a stage does: missing, foreign, stale, damaged are made anew; a damaged header changes none.
 */
static void a_stage_keeps_the_backup_current(void **state)
{
	static const char other[] = "99999999-2222-4333-8444-555555555555";
	enum luks_backup_state found;
	struct fixture f, g;
	struct err e = { 0 };

	(void)state;
	fixture_open(&f, "one");
	fixture_open(&g, "one");
	close(g.image);
	assert_int_equal(unlinkat(g.at.fd, LUKS_IMAGE_NAME, 0), 0);
	g.image = luks_image_make(&g.at, other, "one");
	strcpy(g.record.luks_uuid, other);
	keep_backup(&g);
	assert_int_equal(renameat(g.at.fd, LUKS_BACKUP_NAME, f.at.fd, LUKS_BACKUP_NAME), 0);
	assert_int_equal(luks_backup_look(f.at.fd, f.image, false, &found, &e), 0);
	assert_int_equal(found, LUKS_BACKUP_FOREIGN);
	keep_backup(&f);
	assert_int_equal(luks_backup_look(f.at.fd, f.image, true, &found, &e), 0);
	assert_int_equal(found, LUKS_BACKUP_CURRENT);

	luks_image_damage(f.image, IN_PRIMARY);
	luks_image_damage(f.image, IN_SECONDARY);
	keep_backup(&f);
	becomes(&f, "one", LOCAL_RESTORED_BACKUP);
	fixture_close(&g);
	fixture_close(&f);
}

static void unlock_test_tells_volume_and_backup_apart(void **state)
{
	auto_secret struct secret *one = secret_of("one");
	auto_secret struct secret *two = secret_of("two");
	struct local_unlock_result result;
	struct fixture f;
	struct err e = { 0 };

	(void)state;
	fixture_open(&f, "one");
	assert_int_equal(local_unlock_test(&f.node, f.folder.path, "v", one, &result, &e), 0);
	assert_int_equal(result.volume, LOCAL_UNLOCK_OPENS);
	assert_int_equal(result.backup, LOCAL_UNLOCK_BROKEN);
	assert_non_null(strstr(result.backup_error.msg, "does not exist"));
	keep_backup(&f);
	luks_image_damage(f.image, IN_PRIMARY);
	assert_int_equal(local_unlock_test(&f.node, f.folder.path, "v", one, &result, &e), 0);
	assert_int_equal(result.volume, LOCAL_UNLOCK_BROKEN);
	assert_int_equal(result.backup, LOCAL_UNLOCK_OPENS);
	assert_int_equal(local_unlock_test(&f.node, f.folder.path, "v", two, &result, &e), 0);
	assert_int_equal(result.backup, LOCAL_UNLOCK_DENIED);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_header_is_left_alone),
		cmocka_unit_test(the_second_copy_goes_before_the_backup),
		cmocka_unit_test(the_backup_brings_back_header_and_keyslots),
		cmocka_unit_test(another_uuid_is_refused),
		cmocka_unit_test(states_without_a_header_are_refused),
		cmocka_unit_test(a_stage_keeps_the_backup_current),
		cmocka_unit_test(unlock_test_tells_volume_and_backup_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
