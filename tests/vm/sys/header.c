/* Damaged LUKS2 headers: each is an error that says what is damaged, and nothing is written. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "check.h"

enum { HEADER = 0x4000, AT_SEQID = 16, AT_UUID = 168, AT_CHECKSUM = 448 };

/* Changes one byte of a copy and, if asked, makes its checksum right again. */
static void change(const struct image *image, off_t copy, off_t at, bool mend)
{
	unsigned char bytes[HEADER], sum[32];

	if (pread(image->fd, bytes, HEADER, copy) != HEADER)
		return;
	bytes[at] ^= 1;
	if (mend) {
		memset(bytes + AT_CHECKSUM, 0, 64);
		hash_sha256(bytes, HEADER, sum);
		memcpy(bytes + AT_CHECKSUM, sum, sizeof(sum));
	}
	if (pwrite(image->fd, bytes, HEADER, copy) != HEADER)
		CHECK(false, "cannot change the image");
}

static void zero(const struct image *image, off_t copy)
{
	static const unsigned char zeros[HEADER];

	if (pwrite(image->fd, zeros, HEADER, copy) != HEADER)
		CHECK(false, "cannot change the image");
}

static void primary_json(const struct image *image)
{
	change(image, 0, 5000, false);
}
static void primary_magic(const struct image *image)
{
	change(image, 0, 1, false);
}
static void primary_gone(const struct image *image)
{
	zero(image, 0);
}
static void secondary_json(const struct image *image)
{
	change(image, HEADER, 5000, false);
}
static void secondary_magic(const struct image *image)
{
	change(image, HEADER, 1, false);
}
static void secondary_gone(const struct image *image)
{
	zero(image, HEADER);
}
static void seqid(const struct image *image)
{
	change(image, HEADER, AT_SEQID + 7, true);
}
static void uuid(const struct image *image)
{
	change(image, HEADER, AT_UUID + 3, true);
}
static void both(const struct image *image)
{
	primary_json(image);
	secondary_json(image);
}
static void cut_below_data(const struct image *image)
{
	if (ftruncate(image->fd, 10 * MI) < 0)
		CHECK(false, "cannot cut");
}
static void cut_in_secondary(const struct image *image)
{
	if (ftruncate(image->fd, HEADER + 8192) < 0)
		CHECK(false, "cannot cut");
}

static const struct {
	const char *name;
	void (*damage)(const struct image *image);
	const char *word;
} cases[] = {
	{ "primary JSON damaged", primary_json, "primary" },
	{ "primary magic damaged", primary_magic, "primary" },
	{ "primary copy gone", primary_gone, "primary" },
	{ "secondary JSON damaged", secondary_json, "secondary" },
	{ "secondary magic damaged", secondary_magic, "secondary" },
	{ "secondary copy gone", secondary_gone, "secondary" },
	{ "both copies damaged", both, "both" },
	{ "copies of different age", seqid, "age" },
	{ "copies with different UUIDs", uuid, "UUID" },
	{ "image cut below its data", cut_below_data, "" },
	{ "image cut in the secondary copy", cut_in_secondary, "secondary" },
};

static void damaged(const struct image *good, size_t i)
{
	struct loop loop = LOOP_NONE;
	struct luks_header header;
	struct image image = { .fd = -1 };
	struct err e = { 0 };
	unsigned char sum[32];
	enum luks_probe kind;

	snprintf(image.name, sizeof(image.name), "damaged.img");
	snprintf(image.path, sizeof(image.path), "%s/damaged.img", scratch);
	if (!shell("cp %s %s", good->path, image.path))
		return;
	image.fd = open(image.path, O_RDWR | O_CLOEXEC);
	cases[i].damage(&image);
	image_sum(&image, sum);
	REFUSED(luks_probe(image.path, &kind, &header, &e), ERR_FAILED_PRECONDITION, cases[i].word,
		"%s: luks_probe", cases[i].name);
	REFUSED(luks_test(image.path, passphrase, &e), ERR_FAILED_PRECONDITION, cases[i].word,
		"%s: luks_test", cases[i].name);
	OK(loop_attach(image.fd, 512, false, &loop, &e), "%s: attached", cases[i].name);
	REFUSED(luks_open(loop.path, "systest-damaged", false, false, passphrase, &e),
		ERR_FAILED_PRECONDITION, cases[i].word, "%s: luks_open", cases[i].name);
	fsync(loop.fd);
	loop_close(&loop);
	CHECK(image_has_sum(&image, sum), "%s: nothing was written", cases[i].name);
	image_drop(&image);
}

/* A copy is damaged while the volume is open: it still grows and closes, and is not repaired. */
static void damaged_while_open(void)
{
	struct volume volume;
	struct err e = { 0 };
	unsigned char sum[32];

	if (!volume_make(&volume, "open-damage", 24 * MI))
		return;
	secondary_json(&volume.image);
	image_sum(&volume.image, sum);
	OK(luks_resize(volume.mapping, &e), "damaged while open: luks_resize uses the intact copy");
	CHECK(image_has_sum(&volume.image, sum), "damaged while open: resize writes nothing");
	OK(luks_close(volume.mapping, &e), "damaged while open: luks_close");
	CHECK(image_has_sum(&volume.image, sum), "damaged while open: close writes nothing");
	volume_drop(&volume);
}

void test_header(void)
{
	struct loop loop = LOOP_NONE;
	struct luks_header header;
	struct image image;
	struct err e = { 0 };
	enum luks_probe kind;

	if (!image_make(&image, "good", 20 * MI))
		return;
	OK(luks_probe(image.path, &kind, &header, &e), "luks_probe of zeros");
	CHECK(kind == LUKS_ABSENT, "zeros are no LUKS");
	OK(loop_attach(image.fd, 512, false, &loop, &e), "attached");
	OK(luks_format(loop.path, UUID, &cheap, passphrase, &e), "formatted");
	fsync(loop.fd);
	loop_close(&loop);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		damaged(&image, i);
	OK(luks_probe(image.path, &kind, &header, &e), "the good image is still good");
	primary_gone(&image);
	secondary_gone(&image);
	OK(luks_probe(image.path, &kind, &header, &e), "luks_probe without any copy");
	CHECK(kind == LUKS_ABSENT, "no copy at all is no LUKS");
	image_drop(&image);
	damaged_while_open();
}
