/* What a LUKS2 header demands of whoever opens it. */
#include "sys/luks_requirements.h"

#include <string.h>

#include "base/json.h"
#include "base/parse.h"
#include "sys/luks_header.h"

/* "online-reencrypt-v2" and its like, and "offline-reencrypt" of cryptsetup before 2.2. */
static bool is_reencryption(const char *name)
{
	return strncmp(name, "online-reencrypt", strlen("online-reencrypt")) == 0 ||
	       strcmp(name, "offline-reencrypt") == 0;
}

static int refuse(const char *name, const char *shown, struct err *e)
{
	if (is_reencryption(name))
		return err_set(
			e, ERR_FAILED_PRECONDITION,
			"the LUKS2 header of '%s' requires '%.64s': somebody began to reencrypt "
			"it, and that is not complete; nothing is opened. Complete it with "
			"the program that began it (`cryptsetup reencrypt --resume-only %s`)",
			shown, name, shown);
	return err_set(
		e, ERR_FAILED_PRECONDITION,
		"the LUKS2 header of '%s' requires '%.64s', which this driver does not know; "
		"nothing is opened. Open it with the program that put it there, and copy the "
		"data into a new volume",
		shown, name);
}

int luks_requirements_check(int fd, const char *shown, struct err *e)
{
	auto_free char *text = NULL;

	if (luks_header_text(fd, &text, e) < 0)
		return -1;
	if (!text)
		return 0;
	auto_json json_t *header = json_parse_object(text, shown, e);
	if (!header)
		return err_wrap(e, "the LUKS2 header");
	const json_t *config = json_object_get(header, "config");
	const json_t *all = json_object_get(json_object_get(config, "requirements"), "mandatory");
	const json_t *first = json_array_get(all, 0);
	if (!first)
		return 0;
	const char *name = json_string_value(first);
	return refuse(name && text_is_clean(name) ? name : "(not readable)", shown, e);
}
