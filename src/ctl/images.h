/* The images in a folder of volumes, whether or not anybody knows them. */
#ifndef CTL_IMAGES_H
#define CTL_IMAGES_H

#include "ctl/node.h"

struct ctl_image {
	char id[VOLUME_ID_MAX + 1];
	bool has_record; /* volume.json lies beside it */
};

struct ctl_images {
	struct ctl_image *all; /* sorted by id */
	size_t count;
};

/*
 * Everything of the form ID/luks-ID.img in local_path, seen below the host's root. A folder that
 * does not exist holds none.
 */
int ctl_images_read(const struct ctl_node *node, const char *local_path,
		    struct ctl_images *ret_images, struct err *e) MUST_CHECK;
void ctl_images_done(struct ctl_images *images);
#define auto_ctl_images __attribute__((cleanup(ctl_images_done)))

#endif
