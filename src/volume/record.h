/*
 * The record of a volume: what it is, and the permit to format it. It is written beside the data
 * as volume.json, and mirrored by the store. Pure: text in, text out.
 */
#ifndef VOLUME_RECORD_H
#define VOLUME_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "volume/id.h"
#include "volume/params.h"

/*
 * The format permit of a local volume; of an S3 volume RESERVED says that it was never staged, and
 * FORMATTED that its key check was written, so that its prefix is never empty again.
 * Formatting, LUKS or file system, is possible in RESERVED and FORMATTING only; nobody has ever
 * seen the volume mounted in either. FORMATTED is for life.
 */
enum volume_state {
	VOLUME_RESERVED,
	VOLUME_FORMATTING,
	VOLUME_FORMATTED,
	VOLUME_DELETING, /* its data go, or are gone */
	VOLUME_ERASED,	 /* they are gone; of the store only */
	VOLUME_CREATING, /* before RESERVED: there may be an image, or not; of the store only */
};

#define NODE_NAME_SIZE 254
#define UUID_SIZE 40
#define CLAIM_SIZE 320 /* namespace (63), a slash, name (253) */

struct volume_record {
	char id[VOLUME_ID_MAX + 1];
	char name[VOLUME_ID_MAX + 1]; /* as CreateVolume was asked; "" for an adopted volume */
	enum volume_state state;
	char claim[CLAIM_SIZE];	   /* "namespace/name" of the PVC it was made for; "": unknown */
	bool block;		   /* raw block volume: no file system */
	bool adopted;		   /* made by the Go driver */
	char node[NODE_NAME_SIZE]; /* that holds the data; S3: that has it staged, or "" */
	uint64_t capacity_bytes;   /* what the user can have; the image is larger by data_offset */
	uint64_t data_offset_bytes;
	char luks_uuid[UUID_SIZE]; /* from FORMATTING on */
	char fs_uuid[UUID_SIZE];
	char created[32];     /* RFC 3339, UTC */
	char key_changed[32]; /* when the keyslots were made or changed; "" where that is unknown */
	bool reencrypting;    /* the volume key is being replaced: `lcw volume reencrypt` goes on */
	bool reencrypt_ending; /* its last piece: header backup and tail are to go back to */
	bool key_changing;     /* keyslots are being changed: the next stage goes on with it */
	unsigned key_removing; /* the keyslot that is being removed then, counted from 1; 0: none */
	struct params params;
};

void volume_record_done(struct volume_record *record);
#define auto_record __attribute__((cleanup(volume_record_done)))

void volume_record_copy(const struct volume_record *from, struct volume_record *ret_record);

/* Whether a deletion of the volume was begun. */
bool volume_is_going(const struct volume_record *record);

const char *volume_state_name(enum volume_state state);

/* False, and nothing set, for NULL and what is no name of a state. */
bool volume_state_from_name(const char *name, enum volume_state *ret_state);

/* The record as JSON text, owned by the caller. Never NULL. */
char *volume_record_format(const struct volume_record *record);

/*
 * Reads a record of volume `id`. FAILED_PRECONDITION when the text is not JSON, a field is
 * missing or not valid, it was written by a newer version, or it is the record of another volume;
 * `shown` names the file in the sentence.
 */
int volume_record_parse(const char *text, const char *id, const char *shown,
			struct volume_record *ret_record, struct err *e) MUST_CHECK;

#endif
