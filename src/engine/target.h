/* Paths that kubelet names: staging and target paths, always below kubelet's folder. */
#ifndef ENGINE_TARGET_H
#define ENGINE_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Kubelet's folder, resolved once at start. */
struct kubelet_dir {
	char given[PATH_MAX];	 /* as --kubelet-dir says */
	char resolved[PATH_MAX]; /* without symbolic links: what mountinfo shows */
	int fd;
};

/*
 * Opens and resolves the folder. FAILED_PRECONDITION when it does not exist or is no directory.
 * *ret_shared tells whether mounts made below it are seen by the host (shared propagation).
 */
int kubelet_dir_open(const char *path, struct kubelet_dir *ret_dir, bool *ret_shared,
		     struct err *e) MUST_CHECK;

struct target {
	char path[PATH_MAX];  /* resolved */
	const char *relative; /* part of path, below kubelet's folder */
	const struct kubelet_dir *kubelet;
};

/*
 * Checks a path of a request; `what` names it in the error ("staging path"). INVALID_ARGUMENT
 * when it is empty, not absolute, not clean or outside of kubelet's folder. Touches no disk.
 */
int target_parse(const struct kubelet_dir *kubelet, const char *path, const char *what,
		 struct target *ret_target, struct err *e) MUST_CHECK;

/* Whether a resolved path lies in kubelet's folders of pods: volumes are published there. Pure. */
bool target_is_of_pod(const struct kubelet_dir *kubelet, const char *path);

/*
 * Whether kubelet itself binds the device node of a raw block volume at this resolved path: it does
 * so beside the path that it gives to the driver, and in the pod's folder. Pure.
 */
bool target_is_of_kubelet(const struct kubelet_dir *kubelet, const char *path);

/*
 * The target path of a pod: as target_parse; INVALID_ARGUMENT too where it is one of the staging
 * paths of kubelet, whose mounts are staged and unstaged, and never published.
 */
int target_parse_for_pod(const struct kubelet_dir *kubelet, const char *path,
			 struct target *ret_target, struct err *e) MUST_CHECK;

/*
 * The volume path of a question. One that is well formed, but where no volume can be published, is
 * NOT_FOUND (CSI); else as target_parse.
 */
int target_parse_published(const struct kubelet_dir *kubelet, const char *path,
			   struct target *ret_target, struct err *e) MUST_CHECK;

enum target_kind { TARGET_DIRECTORY, TARGET_FILE };

/*
 * Opens (O_PATH) the mount point, making the last component when it is missing.
 * INVALID_ARGUMENT when it is of another kind, a symbolic link, or reached through one;
 * FAILED_PRECONDITION when the folder above does not exist.
 */
int target_open(const struct target *target, enum target_kind kind, int *ret_fd,
		struct err *e) MUST_CHECK;

/*
 * Removes the mount point: an empty directory or an empty regular file, nothing else. One that
 * is not there is success. FAILED_PRECONDITION when there is something in it.
 */
int target_remove(const struct target *target, struct err *e) MUST_CHECK;

#endif
