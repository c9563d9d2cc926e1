/* The keyslots of a LUKS header. */
#include "sys/luks_keys.h"

#include <errno.h>
#include <string.h>

#include "sys/luks_session.h"

static int refuse(const char *path, struct err *e)
{
	return err_set(e, ERR_PERMISSION_DENIED, "the passphrase does not open LUKS on '%s'", path);
}

static bool is_luks2(const struct luks_session *session)
{
	return strcmp(session->lib->crypt_get_type(session->device), CRYPT_LUKS2) == 0;
}

int luks_key_count(const char *path, unsigned *ret_count, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };

	if (luks_session_load_whole(path, &session, e) < 0)
		return -1;
	int slots = session.lib->crypt_keyslot_max(session.lib->crypt_get_type(session.device));
	unsigned count = 0;
	for (int slot = 0; slot < slots; slot++) {
		crypt_keyslot_info state = session.lib->crypt_keyslot_status(session.device, slot);

		if (state == CRYPT_SLOT_ACTIVE || state == CRYPT_SLOT_ACTIVE_LAST)
			count++;
	}
	*ret_count = count;
	return 0;
}

int luks_key_find(const char *path, const struct secret *passphrase, int *ret_slot, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };

	if (luks_session_load_whole(path, &session, e) < 0)
		return -1;
	int slot = session.lib->crypt_activate_by_passphrase(session.device, NULL, CRYPT_ANY_SLOT,
							     secret_bytes(passphrase),
							     secret_size(passphrase), 0);
	if (slot == -EPERM || slot == -ENOENT)
		return refuse(path, e);
	if (slot < 0)
		return luks_session_fail(&session, slot, "try the passphrase on", path, e);
	*ret_slot = slot;
	return 0;
}

int luks_key_add(const char *path, const struct luks_params *params, const struct secret *existing,
		 const struct secret *fresh, int *ret_slot, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };
	int rc = 0;

	if (luks_session_load_whole(path, &session, e) < 0)
		return -1;
	/* The hash of a LUKS1 header is fixed when it is made. */
	if (is_luks2(&session))
		rc = luks_session_set_pbkdf(&session, params);
	if (rc == 0)
		rc = session.lib->crypt_keyslot_add_by_passphrase(session.device, CRYPT_ANY_SLOT,
								  secret_bytes(existing),
								  secret_size(existing),
								  secret_bytes(fresh),
								  secret_size(fresh));
	if (rc == -EPERM)
		return refuse(path, e);
	if (rc < 0)
		return luks_session_fail(&session, rc, "add a keyslot to", path, e);
	*ret_slot = rc;
	return 0;
}

int luks_key_remove(const char *path, int slot, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };

	int rc = 0;

	if (luks_session_load_whole(path, &session, e) < 0)
		return -1;
	if (is_luks2(&session))
		rc = session.lib->crypt_keyslot_set_priority(session.device, slot,
							     CRYPT_SLOT_PRIORITY_IGNORE);
	if (rc == 0)
		rc = session.lib->crypt_keyslot_destroy(session.device, slot);
	return rc < 0 ? luks_session_fail(&session, rc, "remove a keyslot of", path, e) : 0;
}

int luks_key_is_marked(const char *path, int slot, bool *ret_yes, struct err *e)
{
	auto_luks_session struct luks_session session = { 0 };

	if (luks_session_load_whole(path, &session, e) < 0)
		return -1;
	/* A keyslot that is not there has no priority: an error, which is "no". */
	*ret_yes = is_luks2(&session) &&
		   session.lib->crypt_keyslot_get_priority(session.device, slot) ==
			   CRYPT_SLOT_PRIORITY_IGNORE;
	return 0;
}
