/* Volume ids and the names made from them. */
#include "volume/id.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/parse.h"

static bool is_plain(const char *id)
{
	if (id[0] == '.' || id[0] == '-' || strstr(id, ".."))
		return false;
	for (; *id; id++)
		if (!isalnum((unsigned char)*id) && !strchr("._-", *id))
			return false;
	return true;
}

int volume_id_check(const char *id, struct err *e)
{
	if (!*id)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume id is missing");
	if (strlen(id) > VOLUME_ID_MAX)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume id is longer than %d bytes",
			       VOLUME_ID_MAX);
	if (!text_is_clean(id))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "volume id holds control characters or is not UTF-8");
	if (!is_plain(id))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "volume id '%s' is not one of this driver's: only letters, digits, "
			       "'.', '_' and '-' are allowed, and no '..'",
			       id);
	return 0;
}

int volume_id_from_name(const char *name, char ret_id[VOLUME_ID_MAX + 1], struct err *e)
{
	char hex[HASH_HEX_SIZE];

	if (!*name)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume name is missing");
	if (strlen(name) > VOLUME_ID_MAX)
		return err_set(e, ERR_INVALID_ARGUMENT, "volume name is longer than %d bytes",
			       VOLUME_ID_MAX);
	if (!text_is_clean(name))
		return err_set(e, ERR_INVALID_ARGUMENT,
			       "volume name holds control characters or is not UTF-8");
	if (strstr(name, ".."))
		return err_set(e, ERR_INVALID_ARGUMENT, "volume name '%s' holds '..'", name);

	if (is_plain(name)) {
		snprintf(ret_id, VOLUME_ID_MAX + 1, "%s", name);
	} else {
		hash_hex(name, hex);
		snprintf(ret_id, VOLUME_ID_MAX + 1, "vol-%s", hex);
	}
	return 0;
}

void volume_image_name(const char *id, char ret_name[VOLUME_NAME_SIZE])
{
	snprintf(ret_name, VOLUME_NAME_SIZE, "luks-%s.img", id);
}

void volume_mapping_name(const char *id, char ret_name[VOLUME_NAME_SIZE])
{
	enum { LONGEST = 127, KEPT = 80 };
	char hex[HASH_HEX_SIZE];

	if (strlen("luks-") + strlen(id) <= LONGEST) {
		snprintf(ret_name, VOLUME_NAME_SIZE, "luks-%s", id);
		return;
	}
	hash_hex(id, hex);
	snprintf(ret_name, VOLUME_NAME_SIZE, "luks-%.*s-%s", KEPT, id, hex);
}

void volume_lock_name(const char *id, char ret_name[VOLUME_NAME_SIZE])
{
	snprintf(ret_name, VOLUME_NAME_SIZE, "%s.lock", id);
}
