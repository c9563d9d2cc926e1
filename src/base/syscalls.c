/* A seccomp filter, written down as numbers. */
#include "base/syscalls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OUR_ARCHITECTURE AUDIT_ARCH_X86_64
#define FOREIGN_BIT 0x40000000u /* x32 on x86_64: the same calls under other numbers */
#elif defined(__aarch64__)
#define OUR_ARCHITECTURE AUDIT_ARCH_AARCH64
#define FOREIGN_BIT 0x80000000u
#else
#error "which system calls does this architecture have?"
#endif

static const unsigned short forbidden[] = {
	/* mounts and namespaces */
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_move_mount,
	SYS_open_tree,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fspick,
	SYS_mount_setattr,
	SYS_unshare,
	SYS_setns,
	SYS_swapon,
	SYS_swapoff,
	SYS_quotactl,
	SYS_open_by_handle_at,
	SYS_fanotify_init,
	/* other processes */
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_pidfd_getfd,
	SYS_kcmp,
	SYS_migrate_pages,
	SYS_move_pages,
	/* the kernel itself */
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_reboot,
	SYS_syslog,
	SYS_acct,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_add_key,
	SYS_request_key,
	SYS_keyctl,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_clock_adjtime,
	SYS_adjtimex,
	SYS_sethostname,
	SYS_setdomainname,
	SYS_vhangup,
	SYS_personality,
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
#ifdef __x86_64__
	SYS_iopl,
	SYS_ioperm,
	SYS_modify_ldt,
#endif
};

#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
	 CLONE_NEWCGROUP)

/* Of an argument the low half: both architectures are little-endian. */
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, (value))
#define REFUSE(errnum) ANSWER(SECCOMP_RET_ERRNO | (errnum))
#define JUMP_IF(test, value, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, (value), (yes), (no))

static const struct sock_filter head[] = {
	LOAD(arch), JUMP_IF(BPF_JEQ, OUR_ARCHITECTURE, 1, 0), ANSWER(SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),   JUMP_IF(BPF_JGE, FOREIGN_BIT, 0, 1),      REFUSE(ENOSYS),
};

/*
 * What depends on arguments. clone3 has them in memory: libraries do without it when it is absent.
 */
static const struct sock_filter tail[] = {
	JUMP_IF(BPF_JEQ, SYS_clone3, 0, 1),  REFUSE(ENOSYS),
	JUMP_IF(BPF_JEQ, SYS_clone, 0, 4),   LOAD(args[0]),
	JUMP_IF(BPF_JSET, NAMESPACES, 0, 1), REFUSE(EPERM),
	ANSWER(SECCOMP_RET_ALLOW),	     JUMP_IF(BPF_JEQ, SYS_socket, 1, 0),
	ANSWER(SECCOMP_RET_ALLOW),	     LOAD(args[0]),
	JUMP_IF(BPF_JEQ, AF_UNIX, 3, 0),     JUMP_IF(BPF_JEQ, AF_INET, 2, 0),
	JUMP_IF(BPF_JEQ, AF_INET6, 1, 0),    JUMP_IF(BPF_JEQ, AF_NETLINK, 0, 1),
	ANSWER(SECCOMP_RET_ALLOW),	     REFUSE(EPERM),
};

enum { PROGRAM_MAX = ARRAY_LEN(head) + 2 * ARRAY_LEN(forbidden) + ARRAY_LEN(tail) };

int syscalls_forbid(void)
{
	struct sock_filter program[PROGRAM_MAX];
	struct sock_fprog whole = { .filter = program };
	unsigned short length = 0;

	for (size_t i = 0; i < ARRAY_LEN(head); i++)
		program[length++] = head[i];
	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
		program[length++] =
			(struct sock_filter)JUMP_IF(BPF_JEQ, (uint32_t)forbidden[i], 0, 1);
		program[length++] = (struct sock_filter)REFUSE(EPERM);
	}
	for (size_t i = 0; i < ARRAY_LEN(tail); i++)
		program[length++] = tail[i];
	whole.len = length;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole, 0, 0) < 0 ? -errno : 0;
}
