"""What a walk lets go wrong: in which operations, on which volumes, at which of the calls."""
import dataclasses

# Calls that change something outside the process: a sample prefers them.
CHANGES = {"openat", "openat2", "write", "pwrite64", "writev", "rename", "renameat", "renameat2",
           "unlink", "unlinkat", "mkdir", "mkdirat", "ioctl", "fsync", "fdatasync", "fallocate",
           "ftruncate", "clone", "clone3", "execve", "flock", "umount2", "fsopen", "fsconfig",
           "fsmount", "move_mount", "open_tree", "mount_setattr", "mknodat", "mknod", "fchmod",
           "fchown", "fchmodat", "fchownat", "chmod", "chown", "exit_group", "close", "semctl",
           "sendmsg", "sendto", "waitid", "kill", "symlink", "getrandom"}
# Of these the kind of the volume makes another operation; programs are started by three of them.
OF_THE_KIND = ("first-stage", "stage-again", "rotate", "publish", "unpublish", "node-expand", "unstage")
WITH_PROGRAMS = ("first-stage", "stage-again", "node-expand")
# Points of each operation, wider and wider: a walk that ends early has been everywhere.
WIDENING = (1, 4, 16, 64, 256, 0)


@dataclasses.dataclass(frozen=True)
class Injection:
    """What goes wrong: `error` is None for a kill; `target` as syscallpoint knows it."""
    target: str = "worker"
    error: str = None
    after: bool = False

    def options(self):
        how = [f"--errno={self.error}"] if self.error else ["--kill"]
        return [f"--target={self.target}", *how, *(["--after"] if self.after else [])]

    def ends_driver(self):
        return not self.error and self.target in ("driver", "both")

    def counted(self):
        """Whose calls are numbered."""
        return "children" if self.target in ("children", "program") else "worker"

    def __str__(self):
        return self.error or f"kill {self.target}{' after' if self.after else ''}"


def plans(arguments):
    """[(pass, kind of volume, injections, weight of the budget)]"""
    if arguments.what == "errors":
        errors = [Injection(error=name) for name in arguments.errors]
        in_programs = [Injection("children", name) for name in arguments.errors]
        yield "errors", "ext4", errors, 1.0
        yield "errors-in-programs", "ext4", in_programs, 0.5
        yield "errors", "block", errors, 0.5
        yield "errors", "xfs", errors, 0.2
        yield "errors-in-programs", "xfs", in_programs, 0.2
    else:
        yield "kill-worker", "ext4", [Injection("worker")], 1.0
        yield "kill-driver", "ext4", [Injection("driver")], 0.2
        yield "kill-both", "ext4", [Injection("both")], 0.2
        yield "kill-in-program", "ext4", [Injection("children")], 0.8
        yield "kill-program", "ext4", [Injection("program")], 0.4
        yield "kill-worker", "block", [Injection("worker")], 0.4
        yield "kill-worker", "xfs", [Injection("worker")], 0.2
        yield "kill-program", "xfs", [Injection("program")], 0.2


def is_wanted(arguments, operation, what, kind):
    if arguments.operations and operation not in arguments.operations:
        return False
    if arguments.kinds and kind not in arguments.kinds:
        return False
    if arguments.passes and what not in arguments.passes:
        return False
    if "program" in what:
        return operation in WITH_PROGRAMS
    return kind == "ext4" or operation in OF_THE_KIND


def is_monotonous(names, k):
    """Amid a loop over the same few calls, in which one point is like another."""
    return 12 <= k < len(names) - 12 and len(set(names[k - 12:k + 12])) <= 3


def sample(names, budget, thin, chance):
    """Numbers of calls, spread over the operation: from each slice one, rather one that changes
    things. Budget 0 is all of them, or with `thin` only some of a loop."""
    every = [k for k in range(len(names)) if k % 16 == 0 or not is_monotonous(names, k)]
    if not budget or budget >= len(every):
        return [k + 1 for k in (every if budget or thin else range(len(names)))]
    points = []
    for slot in range(budget):
        here = every[slot * len(every) // budget:(slot + 1) * len(every) // budget]
        changing = [k for k in here if names[k] in CHANGES]
        points.append(chance.choice(changing or here) + 1)
    return points
