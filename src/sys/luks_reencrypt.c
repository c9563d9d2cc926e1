/* Another volume key. */
#include "sys/luks_reencrypt.h"

#include <errno.h>
#include <string.h>

#include "sys/luks_keys.h"
#include "sys/luks_session.h"

static bool is_under_way(const struct luks_session *session)
{
	crypt_reencrypt_info status = session->lib->crypt_reencrypt_status(session->device, NULL);

	return status == CRYPT_REENCRYPT_CLEAN || status == CRYPT_REENCRYPT_CRASH;
}

static int open_job(const struct luks_reencrypt *job, struct luks_session *session, struct err *e)
{
	if (luks_session_load_whole(job->path, session, e) < 0)
		return -1;
	session->lib->crypt_volume_key_keyring(session->device, 0);
	if (strcmp(session->lib->crypt_get_type(session->device), CRYPT_LUKS2) != 0)
		return err_set(e, ERR_FAILED_PRECONDITION,
			       "'%s' has a LUKS1 header: only LUKS2 can be reencrypted", job->path);
	return 0;
}

static int refuse(const struct luks_reencrypt *job, struct err *e)
{
	return err_set(e, ERR_PERMISSION_DENIED, "the passphrase does not open LUKS on '%s'",
		       job->path);
}

int luks_is_reencrypting(const char *path, bool *ret_yes, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };

	if (luks_session_load_whole(path, &session, e) < 0)
		return -1;
	*ret_yes = is_under_way(&session);
	return 0;
}

/* A keyslot for a new volume key: of no segment yet, left over when a kill came next. */
static int remove_unbound(const struct luks_session *session, const char *path, struct err *e)
{
	int slots = session->lib->crypt_keyslot_max(CRYPT_LUKS2);

	for (int slot = 0; slot < slots; slot++) {
		if (session->lib->crypt_keyslot_status(session->device, slot) != CRYPT_SLOT_UNBOUND)
			continue;
		int rc = session->lib->crypt_keyslot_destroy(session->device, slot);
		if (rc < 0)
			return luks_session_fail(session, rc, "remove an unused keyslot of", path,
						 e);
	}
	return 0;
}

static int check_single(const char *path, struct err *e)
{
	unsigned count;

	if (luks_key_count(path, &count, e) < 0)
		return -1;
	return count == 1 ? 0
			  : err_set(e, ERR_FAILED_PRECONDITION,
				    "'%s' has %u keyslots: those of other passphrases would be "
				    "lost; remove them first (`cryptsetup luksKillSlot`)",
				    path, count);
}

/* Begins, with a keyslot for the new key, or goes on with CRYPT_ANY_SLOT. The cipher stays. */
static int init(const struct luks_session *session, const struct luks_reencrypt *job, int old,
		int fresh, uint32_t flags)
{
	const struct luks_library *lib = session->lib;
	const struct crypt_params_luks2 luks2 = {
		.sector_size = (uint32_t)lib->crypt_get_sector_size(session->device),
	};
	const struct crypt_params_reencrypt params = {
		.mode = CRYPT_REENCRYPT_REENCRYPT,
		.direction = CRYPT_REENCRYPT_FORWARD,
		.resilience = "checksum",
		.hash = "sha256",
		.max_hotzone_size = LUKS_REENCRYPT_PIECE / 512,
		.luks2 = &luks2,
		.flags = flags,
	};
	const char *cipher = NULL, *mode = NULL;

	if (flags & CRYPT_REENCRYPT_INITIALIZE_ONLY) {
		cipher = lib->crypt_get_cipher(session->device);
		mode = lib->crypt_get_cipher_mode(session->device);
	}
	return lib->crypt_reencrypt_init_by_passphrase(session->device, NULL,
						       secret_bytes(job->passphrase),
						       secret_size(job->passphrase), old, fresh,
						       cipher, mode, &params);
}

int luks_reencrypt_begin(const struct luks_reencrypt *job, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };
	int old;

	if (open_job(job, &session, e) < 0)
		return -1;
	if (is_under_way(&session))
		return 0;
	if (check_single(job->path, e) < 0 ||
	    luks_key_find(job->path, job->passphrase, &old, e) < 0 ||
	    remove_unbound(&session, job->path, e) < 0)
		return -1;
	int rc = luks_session_set_pbkdf(&session, job->params);
	if (rc == 0)
		rc = session.lib->crypt_keyslot_add_by_key(
			session.device, CRYPT_ANY_SLOT, NULL,
			(size_t)session.lib->crypt_get_volume_key_size(session.device),
			secret_bytes(job->passphrase), secret_size(job->passphrase),
			CRYPT_VOLUME_KEY_NO_SEGMENT);
	if (rc >= 0)
		rc = init(&session, job, old, rc, CRYPT_REENCRYPT_INITIALIZE_ONLY);
	return rc < 0 ? luks_session_fail(&session, rc, "begin the reencryption of", job->path, e)
		      : 0;
}

static int step(uint64_t size, uint64_t offset, void *data)
{
	const struct luks_reencrypt *job = data;

	return job->progress(offset, size, job->data);
}

/* The piece that was being written when a kill or a power cut came: from its checksums. */
static int recover(const struct luks_reencrypt *job, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };

	if (open_job(job, &session, e) < 0)
		return -1;
	if (session.lib->crypt_reencrypt_status(session.device, NULL) != CRYPT_REENCRYPT_CRASH)
		return 0;
	int rc = init(&session, job, CRYPT_ANY_SLOT, CRYPT_ANY_SLOT, CRYPT_REENCRYPT_RECOVERY);
	if (rc == -EPERM || rc == -ENOENT)
		return refuse(job, e);
	return rc < 0 ? luks_session_fail(&session, rc, "recover the reencryption of", job->path, e)
		      : 0;
}

int luks_reencrypt_run(const struct luks_reencrypt *job, bool *ret_complete, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };

	if (recover(job, e) < 0 || open_job(job, &session, e) < 0)
		return -1;
	if (!is_under_way(&session)) {
		*ret_complete = true;
		return 0;
	}
	int rc = init(&session, job, CRYPT_ANY_SLOT, CRYPT_ANY_SLOT, CRYPT_REENCRYPT_RESUME_ONLY);
	if (rc == -EPERM || rc == -ENOENT)
		return refuse(job, e);
	if (rc >= 0)
		rc = session.lib->crypt_reencrypt_run(session.device, step, (void *)job);
	if (rc < 0)
		return luks_session_fail(&session, rc, "reencrypt", job->path, e);
	*ret_complete = !is_under_way(&session);
	return 0;
}
