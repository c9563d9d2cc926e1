/* A formatted local volume in a folder of its own, closed: the engine without device-mapper. */
#ifndef UNIT_LOCAL_FIXTURE_H
#define UNIT_LOCAL_FIXTURE_H

#include "engine/local_volume.h"
#include "luks_image.h"

struct fixture {
	struct folder folder; /* is local-path */
	struct node node;
	struct volume_record record;
	struct folder at; /* the volume's own */
	int image;
};

static inline void fixture_write_record(struct fixture *f)
{
	auto_local_volume struct local_volume volume = LOCAL_VOLUME_NONE;
	struct err e = { 0 };

	assert_int_equal(local_volume_open(&f->node, f->folder.path, f->record.id, true, &volume,
					   &e),
			 0);
	assert_int_equal(local_record_write(&volume, &f->record, &e), 0);
}

/* What volume.json says now. */
static inline void fixture_read_record(struct fixture *f)
{
	struct err e = { 0 };

	volume_record_done(&f->record);
	if (local_load(&f->node, f->folder.path, "v", &f->record, &e) < 0)
		fail_msg("%s", e.msg);
}

static inline void fixture_open(struct fixture *f, const char *passphrase)
{
	struct err e = { 0 };

	memset(f, 0, sizeof(*f));
	folder_open(&f->folder);
	const struct text_pair pairs[] = { { "local-path", f->folder.path },
					   { "luks-pbkdf", "pbkdf2" },
					   { "luks-pbkdf-iterations", "1000" } };
	f->node.id = "node-a";
	f->node.host_root = "/";
	f->node.run_fd = f->folder.fd;
	strcpy(f->record.id, "v");
	strcpy(f->record.node, "node-a");
	strcpy(f->record.luks_uuid, LUKS_IMAGE_UUID);
	strcpy(f->record.created, "2026-11-23T05:09:00Z");
	strcpy(f->record.key_changed, "2026-11-23T05:09:00Z");
	f->record.state = VOLUME_FORMATTED;
	f->record.capacity_bytes = LUKS_IMAGE_BYTES - LUKS_HEADER_BYTES;
	f->record.data_offset_bytes = LUKS_HEADER_BYTES;
	assert_int_equal(params_parse(pairs, ARRAY_LEN(pairs), &f->record.params, &e), 0);
	fixture_write_record(f);
	snprintf(f->at.path, sizeof(f->at.path), "%s/v", f->folder.path);
	f->at.fd = open(f->at.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->at.fd >= 0);
	f->image = luks_image_make(&f->at, LUKS_IMAGE_UUID, passphrase);
}

static inline void fixture_close(struct fixture *f)
{
	close(f->image);
	close(f->at.fd);
	volume_record_done(&f->record);
	folder_close(&f->folder);
}

#endif
