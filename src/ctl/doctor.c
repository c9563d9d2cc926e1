/* lcw node doctor: whether this node can hold volumes, and what is left over on it. */
#include "ctl/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/proc.h"
#include "ctl/report.h"

enum { PROBE_MS = 10 * 1000 };

static void check_version(struct findings *findings)
{
	unsigned major = 0, minor = 0;
	struct utsname name;

	uname(&name);
	if (sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	    (major > 5 || (major == 5 && minor >= 12)))
		findings_add(findings, "kernel", FINDING_OK, "", "%s", name.release);
	else if (major == 5 && minor >= 10)
		findings_add(findings, "kernel", FINDING_NOTE, "",
			     "%s: volumes can be neither published read-only nor have "
			     "mountOptions before Linux 5.12",
			     name.release);
	else
		findings_add(findings, "kernel", FINDING_WRONG, "install Linux 5.10 or newer",
			     "%s is older than 5.10: it lacks calls that the driver needs",
			     name.release);
}

/* Opened, not only looked at: in a container a device file may be there and be of no use. */
static bool opens(const char *path, int *ret_errno)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	*ret_errno = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void check_device(struct findings *findings, const char *what, const char *path,
			 const char *module, enum finding_level without)
{
	char mend[64];
	int errnum;

	if (opens(path, &errnum)) {
		findings_add(findings, what, FINDING_OK, "", "%s", path);
		return;
	}
	snprintf(mend, sizeof(mend), "modprobe %s", module);
	findings_add(findings, what, without, mend, "cannot open %s: %s", path, strerror(errnum));
}

/* The target is there when the module is, built in or loaded, or when it can be loaded. */
static void check_crypt(struct findings *findings)
{
	const char *const argv[] = { "modprobe", "-n", "-q", "dm-crypt", NULL };
	struct proc_result result;
	struct stat st;
	struct err e;

	if (stat("/sys/module/dm_crypt", &st) == 0)
		findings_add(findings, "dm-crypt", FINDING_OK, "", "the module is there");
	else if (proc_run(argv, PROBE_MS, &result, &e) == 0 && result.exit_code == 0)
		findings_add(findings, "dm-crypt", FINDING_NOTE, "modprobe dm-crypt",
			     "not loaded yet: the kernel loads it when it is first used");
	else
		findings_add(findings, "dm-crypt", FINDING_WRONG,
			     "install the modules of this kernel, then modprobe dm-crypt",
			     "this kernel has no dm-crypt");
}

void doctor_kernel(struct findings *findings)
{
	check_version(findings);
	check_device(findings, "device-mapper", "/dev/mapper/control", "dm-mod", FINDING_WRONG);
	check_crypt(findings);
	check_device(findings, "loop", "/dev/loop-control", "loop", FINDING_WRONG);
	/* S3 volumes only. */
	check_device(findings, "fuse", "/dev/fuse", "fuse", FINDING_NOTE);
}

static void check_folder(struct findings *findings, const char *what, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		findings_add(findings, what, errno == ENOENT ? FINDING_NOTE : FINDING_WRONG, "",
			     "'%s': %s%s", path, strerror(errno),
			     errno == ENOENT ? " (the driver makes it)" : "");
	else if (!S_ISDIR(st.st_mode))
		findings_add(findings, what, FINDING_WRONG, "", "'%s' is not a folder", path);
	else if (st.st_uid != 0 || (st.st_mode & 022)) {
		char mend[PATH_MAX + 64];

		snprintf(mend, sizeof(mend), "chown root %s && chmod 0700 %s", path, path);
		findings_add(findings, what, FINDING_WRONG, mend,
			     "'%s' can be written by others than root", path);
	} else if (access(path, W_OK) < 0)
		findings_add(findings, what, FINDING_WRONG, "", "cannot write to '%s': %s", path,
			     strerror(errno));
	else
		findings_add(findings, what, FINDING_OK, "", "'%s'", path);
}

/* A mount made in a folder that is not shared is seen by nobody but the driver. */
static void check_kubelet(const struct ctl *ctl, struct findings *findings)
{
	auto_free struct kubelet_dir *kubelet = calloc(1, sizeof(*kubelet));
	char mend[3 * PATH_MAX];
	struct stat st;
	bool shared = false;
	struct err e;

	if (stat(ctl->kubelet_dir, &st) < 0 && errno == ENOENT) {
		findings_add(findings, "kubelet", FINDING_NOTE, "",
			     "'%s' does not exist: no Kubernetes here (or see --kubelet-dir)",
			     ctl->kubelet_dir);
		return;
	}
	kubelet->fd = -1;
	if (kubelet_dir_open(ctl->kubelet_dir, kubelet, &shared, &e) < 0) {
		findings_add(findings, "kubelet", FINDING_WRONG, "", "%s", e.msg);
	} else if (shared) {
		findings_add(findings, "kubelet", FINDING_OK, "", "'%s' is a shared mount",
			     ctl->kubelet_dir);
	} else {
		snprintf(mend, sizeof(mend), "mount --bind %s %s && mount --make-rshared %s",
			 ctl->kubelet_dir, ctl->kubelet_dir, ctl->kubelet_dir);
		findings_add(findings, "kubelet", FINDING_WRONG, mend,
			     "'%s' is not a shared mount: pods would not see their volumes",
			     ctl->kubelet_dir);
	}
	cleanup_close(&kubelet->fd);
}

void doctor_folders(const struct ctl *ctl, struct findings *findings)
{
	check_folder(findings, "state-dir", ctl->state_dir);
	check_folder(findings, "run-dir", ctl->run_dir);
	check_kubelet(ctl, findings);
}

int ctl_node_doctor(const struct ctl *ctl, char *words[], struct err *e)
{
	auto_ctl_node struct ctl_node node = CTL_NODE_NONE;
	auto_findings struct findings findings = { 0 };
	__attribute__((cleanup(doctor_known_done))) struct doctor_known known = { 0 };

	(void)words;
	doctor_kernel(&findings);
	doctor_machine(&findings);
	doctor_folders(ctl, &findings);
	if (ctl_node_open(ctl, &node, e) < 0) {
		findings_add(&findings, "leftovers", FINDING_WRONG, "", "cannot look: %s", e->msg);
	} else {
		doctor_read_known(&node, &known, &findings);
		doctor_space(&node, &known, &findings);
		doctor_leftovers(ctl, &node, &known, &findings);
	}
	return ctl_report(ctl, ctl->node_id, &findings);
}
