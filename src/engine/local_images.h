/* The images in a folder of volumes, whether or not anybody knows them. */
#ifndef ENGINE_LOCAL_IMAGES_H
#define ENGINE_LOCAL_IMAGES_H

#include "engine/local.h"

struct local_image {
	char id[VOLUME_ID_MAX + 1];
	bool has_record; /* volume.json lies beside it */
};

struct local_images {
	struct local_image *all; /* sorted by id */
	size_t count;
};

/*
 * Everything of the form ID/luks-ID.img in local_path, seen below the host's root. A folder that
 * does not exist holds none.
 */
int local_images_read(const struct node *node, const char *local_path,
		      struct local_images *ret_images, struct err *e) MUST_CHECK;
void local_images_done(struct local_images *images);
#define auto_local_images __attribute__((cleanup(local_images_done)))

#endif
