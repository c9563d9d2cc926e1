/* engine/local_reencrypt: the volume key is replaced, stopped and killed, and the data stay. */
#include "unit.h"

#include <dlfcn.h>
#include <endian.h>
#include <libcryptsetup.h>
#include <limits.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/hash.h"
#include "base/log.h"
#include "engine/local_admin.h"
#include "engine/local_rotate.h"
#include "local_fixture.h"
#include "sys/luks_backup.h"
#include "sys/luks_keys.h"

enum { DATA_BYTES = 24 << 20 };

struct pieces {
	unsigned seen, stop_at, die_at;
};

static bool on_piece(uint64_t done, uint64_t total, void *data)
{
	struct pieces *pieces = data;

	(void)done;
	(void)total;
	if (++pieces->seen == pieces->die_at)
		_exit(0);
	return pieces->seen == pieces->stop_at;
}

static int reencrypt(struct fixture *f, const char *passphrase, unsigned stop_at, bool *complete,
		     struct err *e)
{
	auto_secret struct secret *secret = secret_of(passphrase);
	auto_record struct volume_record begun = { 0 }, now = { 0 };
	struct pieces pieces = { .stop_at = stop_at };

	if (local_reencrypt_begin(&f->node, f->folder.path, "v", secret, &begun, e) < 0)
		return -1;
	return local_reencrypt_run(&f->node, f->folder.path, "v", secret, on_piece, &pieces,
				   complete, &now, e);
}

static void open_larger(struct fixture *f)
{
	fixture_open(f, "one");
	f->record.capacity_bytes = DATA_BYTES;
	fixture_write_record(f);
	assert_int_equal(ftruncate(f->image, LUKS_HEADER_BYTES + DATA_BYTES), 0);
}

/* The volume key, from the header of the image. */
static void volume_key(int image, unsigned char ret_key[64])
{
	void *lib = dlopen("libcryptsetup.so.12", RTLD_NOW);
	struct crypt_device *device;
	size_t size = 64;
	char path[64];

	assert_non_null(lib);
	__typeof__(&crypt_init) init = dlsym(lib, "crypt_init");
	__typeof__(&crypt_load) load = dlsym(lib, "crypt_load");
	__typeof__(&crypt_volume_key_get) get = dlsym(lib, "crypt_volume_key_get");
	__typeof__(&crypt_free) done = dlsym(lib, "crypt_free");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
	assert_int_equal(init(&device, path), 0);
	assert_int_equal(load(device, CRYPT_LUKS2, NULL), 0);
	assert_true(get(device, CRYPT_ANY_SLOT, (char *)ret_key, &size, "one", 3) >= 0);
	done(device);
	dlclose(lib);
}

/*
 * What an open volume would show, hashed: AES-XTS of libcrypto with the sector's number, in units
 * of 512 bytes, as dm-crypt counts. What a blank image shows is noise, and as good as data.
 */
static void content_of(struct fixture *f, unsigned char ret_digest[HASH_SHA256_BYTES])
{
	static unsigned char cipher[DATA_BYTES], plain[DATA_BYTES];
	void *lib = dlopen("libcrypto.so.3", RTLD_NOW);
	unsigned char key[64], tweak[16];

	assert_non_null(lib);
	void *(*new_context)(void) = dlsym(lib, "EVP_CIPHER_CTX_new");
	void (*free_context)(void *) = dlsym(lib, "EVP_CIPHER_CTX_free");
	const void *(*xts)(void) = dlsym(lib, "EVP_aes_256_xts");
	int (*init)(void *, const void *, void *, const void *, const void *) =
		dlsym(lib, "EVP_DecryptInit_ex");
	int (*update)(void *, void *, int *, const void *, int) = dlsym(lib, "EVP_DecryptUpdate");
	void *context = new_context();
	int length;

	volume_key(f->image, key);
	assert_int_equal(pread(f->image, cipher, sizeof(cipher), LUKS_HEADER_BYTES), DATA_BYTES);
	for (uint64_t at = 0; at < DATA_BYTES; at += 4096) {
		uint64_t sector = htole64(at / 512);

		memset(tweak, 0, sizeof(tweak));
		memcpy(tweak, &sector, sizeof(sector));
		assert_int_equal(init(context, xts(), NULL, key, tweak), 1);
		assert_int_equal(update(context, plain + at, &length, cipher + at, 4096), 1);
	}
	free_context(context);
	dlclose(lib);
	hash_sha256(plain, sizeof(plain), ret_digest);
}

static void same_content(struct fixture *f, const unsigned char before[HASH_SHA256_BYTES])
{
	unsigned char after[HASH_SHA256_BYTES];

	content_of(f, after);
	assert_memory_equal(before, after, sizeof(after));
}

static void is_complete(struct fixture *f)
{
	enum luks_backup_state state;
	struct err e = { 0 };
	unsigned count;
	char path[64];

	fixture_read_record(f);
	assert_false(f->record.reencrypting);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->image);
	assert_int_equal(luks_key_count(path, &count, &e), 0);
	assert_int_equal(count, 1);
	assert_int_equal(luks_backup_look(f->at.fd, f->image, true, &state, &e), 0);
	assert_int_equal(state, LUKS_BACKUP_CURRENT);
}

/* A stage, a growth, another passphrase and an old header must wait. */
static void others_must_wait(struct fixture *f)
{
	auto_secret struct secret *one = secret_of("one"), *two = secret_of("two");
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	auto_record struct volume_record grown = { 0 }, now = { 0 };
	const struct secret *opens = one;
	enum local_restored restored;
	struct err e = { 0 };

	fixture_read_record(f);
	assert_true(f->record.reencrypting);
	assert_int_equal(local_grow_image(&f->node, &f->record, 2 * DATA_BYTES, &grown, &e), -1);
	assert_non_null(strstr(e.msg, "lcw volume reencrypt v"));
	assert_int_equal(local_rotate_key(&f->node, f->folder.path, "v", one, two, &now, &e), -1);
	assert_non_null(strstr(e.msg, "lcw volume reencrypt v"));
	assert_int_equal(local_restore_header(&f->node, f->folder.path, "v", one, &restored, &e),
			 -1);
	assert_non_null(strstr(e.msg, "lcw volume reencrypt v"));
	assert_int_equal(local_backup_header(&f->node, f->folder.path, "v", &e), -1);
	assert_non_null(strstr(e.msg, "lcw volume reencrypt v"));
	assert_int_equal(local_volume_open(&f->node, f->folder.path, "v", false, &volume, &e), 0);
	assert_int_equal(local_rotate_at_stage(&f->node, &volume, &f->record, f->image, NULL,
					       &opens, &e),
			 -1);
	assert_non_null(strstr(e.msg, "lcw volume reencrypt v"));
}

static void it_is_stopped_and_goes_on(void **state)
{
	unsigned char before[HASH_SHA256_BYTES], first[4096], last[4096];
	struct fixture f;
	struct err e = { 0 };
	bool complete;

	(void)state;
	open_larger(&f);
	content_of(&f, before);
	assert_int_equal(pread(f.image, first, sizeof(first), LUKS_HEADER_BYTES), sizeof(first));
	assert_int_equal(reencrypt(&f, "wrong", 0, &complete, &e), -1);
	assert_int_equal(e.code, ERR_FAILED_PRECONDITION);
	fixture_read_record(&f);
	assert_false(f.record.reencrypting);

	if (reencrypt(&f, "one", 3, &complete, &e) < 0)
		fail_msg("%s", e.msg);
	assert_false(complete);
	others_must_wait(&f);
	assert_int_equal(reencrypt(&f, "wrong", 0, &complete, &e), -1);
	if (reencrypt(&f, "one", 0, &complete, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(complete);
	is_complete(&f);
	same_content(&f, before);
	assert_int_equal(pread(f.image, last, sizeof(last), LUKS_HEADER_BYTES), sizeof(last));
	assert_memory_not_equal(first, last, sizeof(first));
	fixture_close(&f);
}

/* Ends the process after so many pieces. */
static void reencrypt_dying(struct fixture *f, unsigned die_at)
{
	auto_secret struct secret *secret = secret_of("one");
	struct pieces pieces = { .die_at = die_at };
	auto_record struct volume_record begun = { 0 }, now = { 0 };
	struct err e = { 0 };
	bool complete;
	int status;

	pid_t pid = fork();
	if (pid == 0) {
		if (local_reencrypt_begin(&f->node, f->folder.path, "v", secret, &begun, &e) == 0 &&
		    local_reencrypt_run(&f->node, f->folder.path, "v", secret, on_piece, &pieces,
					&complete, &now, &e) == 0)
			_exit(1);
		_exit(2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* What was made of the last two pieces and of the header when a kill came does not matter. */
static void the_end_is_repeated_from_what_was_kept(void **state)
{
	static const unsigned char destroyed[2 * LUKS_REENCRYPT_PIECE];
	unsigned char before[HASH_SHA256_BYTES];
	off_t last = LUKS_HEADER_BYTES + DATA_BYTES - (off_t)sizeof(destroyed);
	struct fixture f;
	struct err e = { 0 };
	bool complete;

	(void)state;
	open_larger(&f);
	content_of(&f, before);
	reencrypt_dying(&f, 4);
	fixture_read_record(&f);
	assert_true(f.record.reencrypt_ending);
	assert_int_equal(pwrite(f.image, destroyed, sizeof(destroyed), last), sizeof(destroyed));
	luks_image_damage(f.image, IN_PRIMARY);
	luks_image_damage(f.image, IN_SECONDARY);
	if (reencrypt(&f, "one", 0, &complete, &e) < 0)
		fail_msg("%s", e.msg);
	is_complete(&f);
	same_content(&f, before);
	fixture_close(&f);
}

static void two_passphrases_are_one_too_many(void **state)
{
	auto_secret struct secret *one = secret_of("one"), *two = secret_of("two");
	struct fixture f;
	struct err e = { 0 };
	bool complete;
	char path[64];
	int slot;

	(void)state;
	fixture_open(&f, "one");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f.image);
	assert_int_equal(luks_key_add(path, &luks_image_params, one, two, &slot, &e), 0);
	assert_int_equal(reencrypt(&f, "one", 0, &complete, &e), -1);
	assert_non_null(strstr(e.msg, "2 keyslots"));
	fixture_read_record(&f);
	assert_false(f.record.reencrypting);
	fixture_close(&f);
}

static bool changes_the_disk(unsigned long long call)
{
	return call == SYS_write || call == SYS_pwrite64 || call == SYS_fsync ||
	       call == SYS_fdatasync || call == SYS_renameat || call == SYS_renameat2 ||
	       call == SYS_unlinkat;
}

/* Killed before its k-th call that changes the disk. Returns k, or how many it had: fewer. */
static unsigned reencrypt_killed(struct fixture *f, unsigned k)
{
	struct err e = { 0 };
	unsigned seen = 0;
	bool complete;
	int status;

	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(reencrypt(f, "one", 0, &complete, &e) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	while (seen < k) {
		struct __ptrace_syscall_info info = { 0 };

		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status)) {
			assert_int_equal(status, 0);
			return seen;
		}
		ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
		seen += info.op == PTRACE_SYSCALL_INFO_ENTRY && changes_the_disk(info.entry.nr);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return k;
}

/* Killed there, then run to its end. Returns what reencrypt_killed() does. */
static unsigned kill_and_go_on(unsigned k)
{
	unsigned char before[HASH_SHA256_BYTES];
	struct err e = { 0 };
	struct fixture f;
	bool complete;

	open_larger(&f);
	content_of(&f, before);
	unsigned reached = reencrypt_killed(&f, k);
	if (reached == k && reencrypt(&f, "one", 0, &complete, &e) < 0)
		fail_msg("killed at %u: %s", k, e.msg);
	is_complete(&f);
	same_content(&f, before);
	fixture_close(&f);
	return reached;
}

/* The next point: `stride` further, but the last four one by one: most can go wrong there. */
static unsigned next_point(unsigned k, unsigned stride, unsigned count)
{
	if (k + 4 >= count)
		return k + 1;
	return k + stride + 4 < count ? k + stride : count - 4;
}

/* LCW_STRIDE=1: every point (half an hour). */
static void killed_at_any_point_it_goes_on(void **state)
{
	const char *text = getenv("LCW_STRIDE"), *from = getenv("LCW_FROM");
	unsigned count, stride, points = 0;

	(void)state;
	log_setup(LOG_TEXT, LOG_ERROR);
	count = kill_and_go_on(UINT_MAX);
	stride = text ? (unsigned)atoi(text) : count / 3;
	assert_true(stride > 0);
	unsigned k = from ? (unsigned)atoi(from) : 1;
	for (; k <= count; k = next_point(k, stride, count), points++)
		kill_and_go_on(k);
	print_message("%u points of %u\n", points, count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_stopped_and_goes_on),
		cmocka_unit_test(the_end_is_repeated_from_what_was_kept),
		cmocka_unit_test(two_passphrases_are_one_too_many),
		cmocka_unit_test(killed_at_any_point_it_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
