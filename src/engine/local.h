/*
 * The local engine: a LUKS2 file on this node's disk, through loop, dm-crypt and a file system to
 * a mount. Straight-line blocking code, run in a worker that holds the volume's lock. Every step
 * is an "ensure": a worker may die between any two instructions, and the next call goes on.
 *
 * The record beside the data (volume.json) is the truth here; what is open or mounted is asked
 * of the kernel each time.
 */
#ifndef ENGINE_LOCAL_H
#define ENGINE_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "engine/target.h"
#include "sys/fs.h"
#include "volume/capability.h"
#include "volume/record.h"

/* This node, as the command line describes it. All borrowed for the life of the process. */
struct node {
	const char *id;
	const char *host_root;		 /* where the host's "/" is seen; before local-path only */
	const char *state_dir, *run_dir; /* the driver's own folders; volumes may not lie there */
	const char *const *allow_paths;	 /* local-path must lie in one of these, if any */
	size_t allow_count;
	struct kubelet_dir kubelet;
	int run_fd;	    /* folder of locks */
	const char *rclone; /* path of the program; NULL: there is none on this node */
	const char *mounter_socket;
};

/*
 * Whether volume `id` (NULL: any) may lie in local_path on this node. INVALID_ARGUMENT says why
 * not: outside of --allow-path, or in, or around, kubelet's or the driver's own folders.
 */
int local_path_check(const struct node *node, const char *local_path, const char *id,
		     struct err *e) MUST_CHECK;

/*
 * What a new volume can take in local_path (its nearest existing parent), headers deducted.
 * RESOURCE_EXHAUSTED when the disk that local_path belongs on is not mounted (local_disk.h).
 */
int local_free_bytes(const struct node *node, const char *local_path, uint64_t *ret_bytes,
		     struct err *e) MUST_CHECK;

/*
 * Ensures folder, record (state RESERVED) and image of `wanted`; an unfinished deletion of the
 * same volume is finished first. *ret_record is the record beside the data. RESOURCE_EXHAUSTED
 * leaves nothing behind. FAILED_PRECONDITION when data is there that this volume cannot explain.
 */
int local_create(const struct node *node, const struct volume_record *wanted,
		 struct volume_record *ret_record, struct err *e) MUST_CHECK;

/* Whether the volume has a folder in local_path; what cannot be looked at has none. */
bool local_folder_is_there(const struct node *node, const char *local_path, const char *id);

/*
 * Reads the record beside the data. NOT_FOUND when neither folder nor image exists;
 * FAILED_PRECONDITION when the image is there but its record is missing or damaged.
 */
int local_load(const struct node *node, const char *local_path, const char *id,
	       struct volume_record *ret_record, struct err *e) MUST_CHECK;

/*
 * Whether the record beside the data can be the successor of what the store knows: volume.json
 * may have been restored from a backup that is older than the file system, and a folder may hold
 * an earlier volume of the same name. FAILED_PRECONDITION when not. Pure.
 */
int local_check_known(const struct volume_record *known, const struct volume_record *beside,
		      struct err *e) MUST_CHECK;

/*
 * Whether the volume's data are there (*ret_present) and may be deleted. FAILED_PRECONDITION while
 * it is mapped or attached, and when the image is not the one that the record speaks of: nothing
 * is deleted because of its name. Changes nothing.
 */
int local_delete_check(const struct node *node, const char *local_path, const char *id,
		       bool *ret_present, struct err *e) MUST_CHECK;

/*
 * Crypto-erase and unlink; the folder with its record ("deleting") stays, and says so to the next
 * call. NOT_FOUND when there is no folder. Checks first what local_delete_check() does.
 */
int local_delete_data(const struct node *node, const char *local_path, const char *id,
		      struct err *e) MUST_CHECK;

/*
 * Data, record and folder gone, in this order; a volume that is not there is success. Checks
 * first what local_delete_check() does.
 */
int local_delete(const struct node *node, const char *local_path, const char *id,
		 struct err *e) MUST_CHECK;

/*
 * Grows the image (never shrinks) of a volume that the caller knows as `known`, and records the new
 * capacity, after local_check_known(); *ret_record is what is true
 * afterwards. RESOURCE_EXHAUSTED leaves the volume as it was.
 */
int local_grow_image(const struct node *node, const struct volume_record *known,
		     uint64_t capacity_bytes, struct volume_record *ret_record,
		     struct err *e) MUST_CHECK;

struct stage_request {
	const char *id;
	const char *staging_path;
	struct capability capability;
	const struct secret *passphrase;
	const struct secret *previous; /* that the passphrase takes the place of; NULL: none */
	struct params params;	       /* of the volume context: used for an adopted volume only */
	const struct volume_record *known; /* the store's mirror; NULL: an image may be adopted */
	const char *luks_uuid; /* of an image to adopt, where it is remembered; else NULL or "" */
};

/*
 * Makes the volume's file system appear at the staging path, or its mapping ready for a raw
 * block volume: loop, LUKS (format once or open), file system (make once or check), grow if
 * behind, mount, permissions. *ret_record is the record afterwards. What this call opened is
 * closed again when it fails. ALREADY_EXISTS when it is staged there with other mount flags;
 * FAILED_PRECONDITION when the record is older than what the store knows.
 */
int local_stage(const struct node *node, const char *local_path,
		const struct stage_request *request, struct volume_record *ret_record,
		struct err *e) MUST_CHECK;

/*
 * Writes a record for an image that has none (a volume of the Go driver, or a lost volume.json):
 * its LUKS header must be whole and the passphrase must open it. Nothing else is written. The
 * staging path of the request is not used. ALREADY_EXISTS when there is a record.
 */
int local_adopt_image(const struct node *node, const char *local_path,
		      const struct stage_request *request, struct volume_record *ret_record,
		      struct err *e) MUST_CHECK;

/*
 * Unmounts, closes and detaches, each verified. Needs neither record nor passphrase. Does nothing
 * where the volume is mounted, but not at this path.
 */
int local_unstage(const struct node *node, const char *id, const char *staging_path,
		  struct err *e) MUST_CHECK;

struct publish_request {
	const struct volume_record *record;
	const char *staging_path;
	const char *target_path;
	struct capability capability;
	bool read_only;
};

/*
 * Binds the staged file system, or the device node of a raw block volume, to the target.
 * FAILED_PRECONDITION when the volume is not staged there: a bare directory is never bound.
 * ALREADY_EXISTS when it is published there with another read-only setting.
 */
int local_publish(const struct node *node, const struct publish_request *request,
		  struct err *e) MUST_CHECK;

/* Unmounts the target and removes the mount point (rmdir, or an empty file). */
int local_unpublish(const struct node *node, const char *id, const char *target_path,
		    struct err *e) MUST_CHECK;

/*
 * Loop, mapping and file system to the size of the image, the whole chain, read back.
 * *ret_bytes is what the user has then. Needs no passphrase. volume_path NULL: wherever it is
 * mounted. NOT_FOUND when it is not open here, or not at that path.
 */
int local_node_expand(const struct node *node, const struct volume_record *record,
		      const char *volume_path, uint64_t *ret_bytes, struct err *e) MUST_CHECK;

struct condition {
	bool abnormal;
	char message[256];
};

/* Looks at image, mapping and mounts of this node; never fails: what is wrong is the answer. */
void local_condition(const struct node *node, const struct volume_record *record,
		     struct condition *ret_condition);

/*
 * Usage at a staged or published path. NOT_FOUND when the path is no mount of this volume. For a
 * raw block volume, and for a file system that has shut itself down, only total_bytes is set.
 */
int local_usage(const struct node *node, const struct volume_record *record,
		const char *volume_path, struct fs_usage *ret_usage, struct err *e) MUST_CHECK;

#endif
