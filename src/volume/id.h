/* Volume ids and every name that is made from one: file, mapping, lock. Pure. */
#ifndef VOLUME_ID_H
#define VOLUME_ID_H

#include "base/err.h"

#define VOLUME_ID_MAX 128 /* CSI: 128 bytes for a string field unless said otherwise */
#define VOLUME_NAME_SIZE 160

/* The file of the record, in the volume's folder {local-path}/{volumeID}. */
#define VOLUME_RECORD_NAME "volume.json"

/*
 * Checks an id that a caller gave: 1 to 128 bytes of letters, digits, '.', '_' and '-', not
 * starting with '.', no "..". INVALID_ARGUMENT otherwise.
 */
int volume_id_check(const char *id, struct err *e) MUST_CHECK;

/*
 * The id of the volume that CreateVolume makes for a name: the name itself where it is a valid
 * id, else "vol-" and a hash of it. Same name, same id. INVALID_ARGUMENT for a name that is
 * empty, longer than 128 bytes, not clean UTF-8, or holds "..".
 */
int volume_id_from_name(const char *name, char ret_id[VOLUME_ID_MAX + 1], struct err *e) MUST_CHECK;

/* "luks-{id}.img", as the specification lays it out. */
void volume_image_name(const char *id, char ret_name[VOLUME_NAME_SIZE]);

/* "luks-{id}"; a long id is shortened with a hash, because device-mapper allows 127 bytes. */
void volume_mapping_name(const char *id, char ret_name[VOLUME_NAME_SIZE]);

/* "{id}.lock" in the run folder. */
void volume_lock_name(const char *id, char ret_name[VOLUME_NAME_SIZE]);

#endif
