/* lcw node doctor: programs, libraries and limits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "ctl/doctor.h"
#include "sys/luks.h"

/* Where base/proc.c looks. */
static bool is_installed(const char *program)
{
	static const char *const folders[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin" };
	char path[64];

	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (snprintf(path, sizeof(path), "%s/%s", folders[i], program) <
			    (int)sizeof(path) &&
		    access(path, X_OK) == 0)
			return true;
	return false;
}

static void check_programs(struct findings *findings)
{
	static const struct {
		const char *what, *package, *programs[4];
		enum finding_level without;
		const char *use;
	} sets[] = {
		{ "ext tools",
		  "e2fsprogs",
		  { "mke2fs", "e2fsck", "resize2fs" },
		  FINDING_WRONG,
		  "ext4 and ext3 volumes" },
		{ "xfs tools",
		  "xfsprogs",
		  { "mkfs.xfs", "xfs_growfs", "xfs_repair" },
		  FINDING_NOTE,
		  "xfs volumes" },
		{ "dmsetup", "dmsetup", { "dmsetup" }, FINDING_WRONG, "cleaning up after a crash" },
	};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		const char *missing = NULL;
		char mend[64];

		for (size_t p = 0; !missing && p < 4 && sets[i].programs[p]; p++)
			if (!is_installed(sets[i].programs[p]))
				missing = sets[i].programs[p];
		snprintf(mend, sizeof(mend), "apt-get install %s", sets[i].package);
		if (missing)
			findings_add(findings, sets[i].what, sets[i].without, mend,
				     "%s is not installed: %s need it", missing, sets[i].use);
		else
			findings_add(findings, sets[i].what, FINDING_OK, "", "for %s", sets[i].use);
	}
}

static void check_library(struct findings *findings)
{
	struct err e = { 0 };

	if (luks_is_usable(&e) < 0)
		findings_add(findings, "libcryptsetup", FINDING_WRONG,
			     "apt-get install libcryptsetup12", "%s", e.msg);
	else
		findings_add(findings, "libcryptsetup", FINDING_OK, "", "loads");
}

/* A passphrase that cannot be locked in memory may reach swap. */
static void check_limits(struct findings *findings)
{
	struct rlimit locked, files;

	getrlimit(RLIMIT_MEMLOCK, &locked);
	getrlimit(RLIMIT_NOFILE, &files);
	if (locked.rlim_cur < (64u << 20) && geteuid() != 0)
		findings_add(findings, "locked memory", FINDING_WRONG,
			     "run as root, or LimitMEMLOCK=infinity in the unit",
			     "only %llu bytes may be locked: passphrases could reach swap",
			     (unsigned long long)locked.rlim_cur);
	else
		findings_add(findings, "locked memory", FINDING_OK, "", "enough may be locked");
	if (files.rlim_max < 1024)
		findings_add(findings, "open files", FINDING_WRONG, "LimitNOFILE=65536 in the unit",
			     "only %llu may be open", (unsigned long long)files.rlim_max);
	else
		findings_add(findings, "open files", FINDING_OK, "", "up to %llu",
			     (unsigned long long)files.rlim_max);
}

/* Two key derivations run at a time, with 64 MiB each by default. */
static void check_memory(struct findings *findings)
{
	static const char key[] = "MemAvailable:";
	char text[2048];

	if (fd_read_small("/proc/meminfo", text, sizeof(text)) < 0)
		return;
	const char *at = strstr(text, key);
	unsigned long long kib = at ? strtoull(at + strlen(key), NULL, 10) : 0;
	if (kib < 256 << 10)
		findings_add(findings, "memory", FINDING_WRONG,
			     "free memory, or lower luks-pbkdf-memory in the StorageClass",
			     "%llu MiB are available: two key derivations at a time need 64 MiB "
			     "each",
			     kib >> 10);
	else
		findings_add(findings, "memory", FINDING_OK, "", "%llu MiB are available",
			     kib >> 10);
}

void doctor_machine(struct findings *findings)
{
	check_programs(findings);
	check_library(findings);
	check_limits(findings);
	check_memory(findings);
}
