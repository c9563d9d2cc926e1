/*
 * What a LUKS2 header demands of whoever opens it (LUKS2 On-Disk Format Specification, "config",
 * "requirements"): libcryptsetup opens some of them in ways of its own, a stack of mappings while
 * the data are reencrypted, and tells of the others in half a sentence.
 */
#ifndef SYS_LUKS_REQUIREMENTS_H
#define SYS_LUKS_REQUIREMENTS_H

#include "base/err.h"

/*
 * FAILED_PRECONDITION when the whole header of the file has a mandatory requirement: names it, and
 * says what to do. `shown` names the file in the sentence. A header that is not whole is not looked
 * at: luks_header_read() tells what is wrong with it.
 */
int luks_requirements_check(int fd, const char *shown, struct err *e) MUST_CHECK;

#endif
