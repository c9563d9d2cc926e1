/* DeleteVolume is a crypto-erase: who kept the files, or their blocks, opens nothing. */
#include "unit.h"

#include "engine/local_backup.h"
#include "local_fixture.h"
#include "sys/luks_backup.h"
#include "sys/luks_header.h"
#include "sys/probe.h"

static int keep(struct fixture *f, const char *name, const char *as)
{
	assert_int_equal(linkat(f->at.fd, name, f->folder.fd, as, 0), 0);
	int fd = openat(f->folder.fd, as, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void opens_nothing(int fd)
{
	struct luks_header header;
	enum luks_probe kind;
	struct err e = { 0 };
	bool mendable;

	assert_false(luks_image_opens(fd, "one"));
	assert_int_equal(luks_header_read(fd, &kind, &header, &e), 0);
	assert_int_equal(kind, LUKS_ABSENT);
	assert_int_equal(luks_header_is_mendable(fd, &mendable, &header, &e), 0);
	assert_false(mendable);
	close(fd);
}

static void hard_links_to_image_and_backup_open_nothing(void **state)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	struct fixture f;
	struct err e = { 0 };

	(void)state;
	fixture_open(&f, "one");
	assert_int_equal(local_volume_open(&f.node, f.folder.path, "v", false, &volume, &e), 0);
	local_backup_ensure(&volume, &f.record);
	local_volume_done(&volume);
	volume = LOCAL_VOLUME_NONE;
	int image = keep(&f, LUKS_IMAGE_NAME, "image");
	int backup = keep(&f, LUKS_BACKUP_NAME, "backup");
	assert_true(luks_image_opens(image, "one"));
	assert_true(luks_image_opens(backup, "one"));

	if (local_delete(&f.node, f.folder.path, "v", &e) < 0)
		fail_msg("%s", e.msg);
	opens_nothing(image);
	opens_nothing(backup);
	assert_int_equal(faccessat(f.folder.fd, "v", F_OK, 0), -1);
	fixture_close(&f);
}

/* Killed after the image was unlinked: the backup still goes. */
static void a_deletion_that_goes_on_takes_the_backup(void **state)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	struct fixture f;
	struct err e = { 0 };

	(void)state;
	fixture_open(&f, "one");
	assert_int_equal(local_volume_open(&f.node, f.folder.path, "v", false, &volume, &e), 0);
	local_backup_ensure(&volume, &f.record);
	int backup = keep(&f, LUKS_BACKUP_NAME, "backup");
	f.record.state = VOLUME_DELETING;
	fixture_write_record(&f);
	assert_int_equal(unlinkat(f.at.fd, LUKS_IMAGE_NAME, 0), 0);
	local_volume_done(&volume);
	volume = LOCAL_VOLUME_NONE;
	if (local_delete(&f.node, f.folder.path, "v", &e) < 0)
		fail_msg("%s", e.msg);
	opens_nothing(backup);
	assert_int_equal(faccessat(f.folder.fd, "v", F_OK, 0), -1);
	fixture_close(&f);
}

/* Two bytes of ciphertext in the right place are a RAID to libblkid: they happened. */
static void noise_that_looks_like_a_raid_does_not_keep_the_image(void **state)
{
	struct fixture f;
	struct err e = { 0 };
	char noise[512] = "JM"; /* of jmicron, without a checksum that fits */
	struct probe found;
	struct stat st;

	(void)state;
	fixture_open(&f, "one");
	assert_int_equal(fstat(f.image, &st), 0);
	assert_int_equal(pwrite(f.image, noise, sizeof(noise), st.st_size - 512), sizeof(noise));
	assert_int_equal(probe_fd(f.image, "image", &found, &e), 0);
	assert_string_equal(found.type, "jmicron_raid_member");
	if (local_delete(&f.node, f.folder.path, "v", &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(faccessat(f.folder.fd, "v", F_OK, 0), -1);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hard_links_to_image_and_backup_open_nothing),
		cmocka_unit_test(a_deletion_that_goes_on_takes_the_backup),
		cmocka_unit_test(noise_that_looks_like_a_raid_does_not_keep_the_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
