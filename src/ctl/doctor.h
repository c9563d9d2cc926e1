/* The parts of `lcw node doctor`. Each looks at one thing and changes nothing. */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include "base/finding.h"
#include "ctl/ctl.h"
#include "ctl/node.h"

/* Kernel, its modules and devices. */
void doctor_kernel(struct findings *findings);

/* Programs, libcryptsetup, and what the driver may use of the machine. */
void doctor_machine(struct findings *findings);

/* The folders of the driver and of kubelet. */
void doctor_folders(const struct ctl *ctl, struct findings *findings);

/* The local volumes of this node that the store knows. */
struct doctor_known {
	struct volume_record *records;
	size_t count;
};

/* Release with doctor_known_done(), also after records that could not be read. */
void doctor_read_known(const struct ctl_node *node, struct doctor_known *ret_known,
		       struct findings *findings);
void doctor_known_done(struct doctor_known *known);

/* Whether the disks have room for what thin volumes were promised. */
void doctor_space(const struct ctl_node *node, const struct doctor_known *known,
		  struct findings *findings);

/* Mappings and loop devices that belong to nothing, and volumes that are not finished. */
void doctor_leftovers(const struct ctl *ctl, const struct ctl_node *node,
		      const struct doctor_known *known, struct findings *findings);

#endif
