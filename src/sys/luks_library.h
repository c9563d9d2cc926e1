/*
 * libcryptsetup, loaded by the process that needs it: linking it would cost the idle event loop
 * 2.7 MB for OpenSSL alone. Each function is reached as luks_library()->crypt_...
 */
#ifndef SYS_LUKS_LIBRARY_H
#define SYS_LUKS_LIBRARY_H

#include <libcryptsetup.h>

#include "base/err.h"

#define LUKS_LIBRARY_FUNCTIONS(X)                                                                  \
	X(crypt_init)                                                                              \
	X(crypt_init_by_name)                                                                      \
	X(crypt_free)                                                                              \
	X(crypt_set_log_callback)                                                                  \
	X(crypt_metadata_locking)                                                                  \
	X(crypt_volume_key_keyring)                                                                \
	X(crypt_set_data_offset)                                                                   \
	X(crypt_set_pbkdf_type)                                                                    \
	X(crypt_format)                                                                            \
	X(crypt_load)                                                                              \
	X(crypt_keyslot_add_by_volume_key)                                                         \
	X(crypt_keyslot_add_by_passphrase)                                                         \
	X(crypt_keyslot_destroy)                                                                   \
	X(crypt_keyslot_set_priority)                                                              \
	X(crypt_keyslot_get_priority)                                                              \
	X(crypt_keyslot_status)                                                                    \
	X(crypt_keyslot_max)                                                                       \
	X(crypt_header_backup)                                                                     \
	X(crypt_header_restore)                                                                    \
	X(crypt_keyslot_add_by_key)                                                                \
	X(crypt_reencrypt_status)                                                                  \
	X(crypt_reencrypt_init_by_passphrase)                                                      \
	X(crypt_reencrypt_run)                                                                     \
	X(crypt_get_volume_key_size)                                                               \
	X(crypt_get_cipher)                                                                        \
	X(crypt_get_cipher_mode)                                                                   \
	X(crypt_repair)                                                                            \
	X(crypt_activate_by_passphrase)                                                            \
	X(crypt_deactivate)                                                                        \
	X(crypt_resize)                                                                            \
	X(crypt_get_type)                                                                          \
	X(crypt_get_data_offset)                                                                   \
	X(crypt_get_sector_size)

struct luks_library {
#define LUKS_LIBRARY_MEMBER(name) __typeof__(&name) name;
	LUKS_LIBRARY_FUNCTIONS(LUKS_LIBRARY_MEMBER)
#undef LUKS_LIBRARY_MEMBER
};

/*
 * The library, loaded at the first call. NULL with `e` filled (FAILED_PRECONDITION) when it is
 * not installed or too old.
 */
const struct luks_library *luks_library(struct err *e);

#endif
