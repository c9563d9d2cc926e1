/* engine/local_rotate: another passphrase, killed at every step and not. */
#include "unit.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "base/log.h"
#include "engine/local_admin.h"
#include "engine/local_backup.h"
#include "engine/local_rotate.h"
#include "local_fixture.h"
#include "sys/luks_backup.h"
#include "sys/luks_keys.h"

static unsigned key_count(const struct fixture *f)
{
	struct err e = { 0 };
	unsigned count;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->image);
	if (luks_key_count(path, &count, &e) < 0)
		fail_msg("%s", e.msg);
	return count;
}

static int rotate(struct fixture *f, const char *from, const char *to, struct err *e)
{
	auto_secret struct secret *previous = secret_of(from), *wanted = secret_of(to);
	auto_record struct volume_record now = { 0 };

	return local_rotate_key(&f->node, f->folder.path, "v", previous, wanted, &now, e);
}

/* What a stage does; the passphrase that opens the volume then, or NULL with `e`. */
static const char *stage(struct fixture *f, const char *wanted_text, const char *previous_text,
			 struct err *e)
{
	auto_secret struct secret *wanted = secret_of(wanted_text);
	auto_secret struct secret *previous = previous_text ? secret_of(previous_text) : NULL;
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	const struct secret *opens = wanted;

	fixture_read_record(f);
	assert_int_equal(local_volume_open(&f->node, f->folder.path, "v", false, &volume, e), 0);
	if (local_rotate_at_stage(&f->node, &volume, &f->record, f->image, previous, &opens, e) < 0)
		return NULL;
	local_backup_ensure(&volume, &f->record);
	return opens == wanted ? wanted_text : previous_text;
}

/* The end of every change: one keyslot, one backup of it, and the record says when. */
static void is_complete(struct fixture *f, const char *passphrase, const char *gone)
{
	enum luks_backup_state state;
	struct err e = { 0 };

	assert_true(luks_image_opens(f->image, passphrase));
	assert_false(luks_image_opens(f->image, gone));
	assert_int_equal(key_count(f), 1);
	assert_int_equal(luks_backup_look(f->at.fd, f->image, true, &state, &e), 0);
	assert_int_equal(state, LUKS_BACKUP_CURRENT);
	fixture_read_record(f);
	assert_false(f->record.key_changing);
	assert_int_equal(strlen(f->record.key_changed), strlen("2026-11-23T05:09:00Z"));
	assert_int_equal(faccessat(f->at.fd, "." LUKS_BACKUP_NAME ".tmp", F_OK, 0), -1);
}

static void the_passphrase_is_changed_by_hand(void **state)
{
	struct fixture f;
	struct err e = { 0 };

	(void)state;
	fixture_open(&f, "one");
	assert_int_equal(rotate(&f, "one", "one", &e), -1);
	assert_int_equal(e.code, ERR_INVALID_ARGUMENT);
	assert_int_equal(rotate(&f, "wrong", "two", &e), -1);
	assert_int_equal(e.code, ERR_FAILED_PRECONDITION);
	fixture_read_record(&f);
	assert_false(f.record.key_changing);
	if (rotate(&f, "one", "two", &e) < 0)
		fail_msg("%s", e.msg);
	is_complete(&f, "two", "one");
	fixture_close(&f);
}

static void a_stage_changes_it_with_the_previous_one(void **state)
{
	struct fixture f;
	struct err e = { 0 };

	(void)state;
	fixture_open(&f, "one");
	assert_string_equal(stage(&f, "two", "one", &e), "two");
	is_complete(&f, "two", "one");
	/* The Secret keeps both for a while: nothing more happens. */
	char before[32];
	strcpy(before, f.record.key_changed);
	assert_string_equal(stage(&f, "two", "one", &e), "two");
	is_complete(&f, "two", "one");
	assert_string_equal(before, f.record.key_changed);
	fixture_close(&f);
}

static void what_a_stage_cannot_change_it_leaves(void **state)
{
	struct fixture f;
	struct err e = { 0 };

	(void)state;
	fixture_open(&f, "one");
	assert_null(stage(&f, "two", "three", &e));
	assert_int_equal(e.code, ERR_FAILED_PRECONDITION);
	assert_non_null(strstr(e.msg, "does not open volume"));
	assert_string_equal(stage(&f, "one", "one", &e), "one"); /* never its only key */
	assert_string_equal(stage(&f, "one", "zero", &e), "one");
	assert_string_equal(stage(&f, "two", NULL, &e), "two"); /* told when it is opened */
	assert_int_equal(key_count(&f), 1);
	assert_true(luks_image_opens(f.image, "one"));
	f.record.luks_uuid[0] = '9'; /* the image of another volume, same passphrase */
	fixture_write_record(&f);
	assert_string_equal(stage(&f, "two", "one", &e), "two");
	assert_false(luks_image_opens(f.image, "two"));
	fixture_close(&f);
}

/* The disk is full: the record cannot be written, so the header is not touched. */
static void a_change_that_fails_does_not_fail_the_stage(void **state)
{
	struct fixture f;
	struct err e = { 0 };

	(void)state;
	fixture_open(&f, "one");
	assert_int_equal(mkdirat(f.at.fd, "." VOLUME_RECORD_NAME ".tmp", 0700), 0);
	assert_string_equal(stage(&f, "two", "one", &e), "one");
	assert_int_equal(key_count(&f), 1);
	assert_int_equal(unlinkat(f.at.fd, "." VOLUME_RECORD_NAME ".tmp", AT_REMOVEDIR), 0);
	assert_string_equal(stage(&f, "two", "one", &e), "two");
	is_complete(&f, "two", "one");
	fixture_close(&f);
}

/* Interrupted, and the previous passphrase is out of the Secret: the old keyslot is not guessed. */
static void an_unknown_keyslot_is_told_and_not_removed(void **state)
{
	auto_secret struct secret *one = secret_of("one"), *two = secret_of("two");
	struct fixture f;
	struct err e = { 0 };
	char path[64];
	int slot;

	(void)state;
	fixture_open(&f, "one");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f.image);
	assert_int_equal(luks_key_add(path, &luks_image_params, one, two, &slot, &e), 0);
	f.record.key_changing = true;
	f.record.key_removing = 1; /* its number alone is no proof: it has no mark */
	fixture_write_record(&f);
	assert_string_equal(stage(&f, "two", NULL, &e), "two");
	fixture_read_record(&f);
	assert_true(f.record.key_changing);
	assert_int_equal(key_count(&f), 2);
	assert_string_equal(stage(&f, "two", "one", &e), "two");
	is_complete(&f, "two", "one");
	fixture_close(&f);
}

/* Only a change of our own is mended: a header that is damaged otherwise waits for a person. */
static void only_an_interrupted_change_is_mended(void **state)
{
	struct fixture f;
	struct err e = { 0 };

	(void)state;
	fixture_open(&f, "one");
	luks_image_damage(f.image, IN_SECONDARY);
	assert_string_equal(stage(&f, "two", "one", &e), "two");
	assert_false(luks_image_opens(f.image, "one"));
	assert_int_equal(rotate(&f, "one", "two", &e), -1);
	f.record.key_changing = true;
	fixture_write_record(&f);
	assert_string_equal(stage(&f, "two", "one", &e), "two");
	is_complete(&f, "two", "one");
	fixture_close(&f);
}

/* A call that changes what is on disk, or ends: between two others nothing happens there. */
static bool changes_the_disk(unsigned long long call)
{
	switch (call) {
	case SYS_write:
	case SYS_pwrite64:
	case SYS_writev:
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_renameat:
	case SYS_renameat2:
	case SYS_unlinkat:
	case SYS_fchmod:
	case SYS_ftruncate:
	case SYS_fallocate:
	case SYS_exit_group:
		return true;
	default:
		return false;
	}
}

/* Runs a change and kills it before its k-th changing call; false when it had fewer. */
static bool rotate_killed(struct fixture *f, unsigned k)
{
	struct err e = { 0 };
	int status;

	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(rotate(f, "one", "two", &e) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (unsigned seen = 0; seen < k;) {
		struct __ptrace_syscall_info info = { 0 };

		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status)) {
			assert_int_equal(status, 0);
			return false;
		}
		ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
		seen += info.op == PTRACE_SYSCALL_INFO_ENTRY && changes_the_disk(info.entry.nr);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return true;
}

static void killed_at_every_step_it_opens_and_goes_on(void **state)
{
	/* The short form takes some points, in turns forwards and back; each is its own volume. */
	bool every = getenv("LCW_EVERY_POINT") != NULL;
	unsigned step = every ? 1 : 5, points = 0;
	struct err e = { 0 };
	bool killed = true;

	(void)state;
	log_setup(LOG_TEXT, LOG_ERROR);
	for (unsigned k = 2; killed; k += step) {
		const char *wanted = k % 2 ? "one" : "two", *other = k % 2 ? "two" : "one";
		struct fixture f;

		fixture_open(&f, "one");
		killed = rotate_killed(&f, every ? k / 2 : k - 1);
		const char *opens = stage(&f, wanted, other, &e);
		if (!opens)
			fail_msg("killed at %u: %s", k, e.msg);
		assert_string_equal(opens, wanted);
		is_complete(&f, wanted, other);
		points++;
		fixture_close(&f);
	}
	print_message("%u points\n", points);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_passphrase_is_changed_by_hand),
		cmocka_unit_test(a_stage_changes_it_with_the_previous_one),
		cmocka_unit_test(what_a_stage_cannot_change_it_leaves),
		cmocka_unit_test(a_change_that_fails_does_not_fail_the_stage),
		cmocka_unit_test(an_unknown_keyslot_is_told_and_not_removed),
		cmocka_unit_test(only_an_interrupted_change_is_mended),
		cmocka_unit_test(killed_at_every_step_it_opens_and_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
