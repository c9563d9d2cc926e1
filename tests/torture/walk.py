"""Walks over the system calls of every operation of the driver: at each one the worker (or the
driver, or both) is killed, or the call fails. Then the call is retried as kubelet does, and the
volume must be as if nothing had happened. Prints one table.

Run by scripts/torture and tests/vm/cases/4*, on a real kernel, as root. A "point" is one operation
with one thing going wrong at one call.
"""
import argparse
import dataclasses
import glob
import os
import random
import subprocess
import sys
import time

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import kernel  # noqa: E402
import summary  # noqa: E402
from driver import Driver, until  # noqa: E402
from volume import MIB, OPERATIONS, Volume, Wrong, expect  # noqa: E402

ERRORS = ["EIO", "ENOSPC", "ENOMEM", "EBUSY", "EINTR", "EMFILE"]
RETRY_SECONDS = 20
# Calls that change something outside the process: a sample prefers them.
CHANGES = {"openat", "openat2", "write", "pwrite64", "writev", "rename", "renameat", "renameat2",
           "unlink", "unlinkat", "mkdir", "mkdirat", "ioctl", "fsync", "fdatasync", "fallocate",
           "ftruncate", "clone", "clone3", "execve", "flock", "umount2", "fsopen", "fsconfig",
           "fsmount", "move_mount", "open_tree", "mount_setattr", "mknodat", "mknod", "fchmod",
           "fchown", "fchmodat", "fchownat", "chmod", "chown", "exit_group", "close", "semctl",
           "sendmsg", "sendto", "waitid", "kill", "symlink", "getrandom"}


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

    def __str__(self):
        return self.error or f"kill {self.target}{' after' if self.after else ''}"


@dataclasses.dataclass
class Outcome:
    """What syscallpoint saw, and what the client was told."""
    outcome: str = "none"
    calls: int = 0
    name: str = "-"
    listed: list = dataclasses.field(default_factory=list)
    reply: object = None  # None: OK, else the grpc error


# ---------------------------------------------------------------- one point

class Tracer:
    """syscallpoint, from `ready` to its report."""

    def __init__(self, tool, pid, options, seconds=90):
        self.process = subprocess.Popen(
            [tool, f"--pid={pid}", f"--seconds={seconds}", *options], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        expect(self.process.stdout.readline() == "ready\n", "syscallpoint cannot trace the driver")

    def report(self):
        text, _ = self.process.communicate(timeout=120)
        outcome = Outcome()
        for line in text.splitlines():
            key, value = line.split(" ", 1)
            if key == "call":
                outcome.listed.append(value.split(" ")[1])
            elif key in ("outcome", "name"):
                setattr(outcome, key, value)
            elif key == "calls":
                outcome.calls = int(value)
        return outcome


def call(operation, volume):
    """None, or the error of the call."""
    try:
        operation.run(volume)
    except grpc.RpcError as error:
        return error
    return None


def check_sentence(error):
    """A CSI error that a person can read."""
    code, text = error.code().name, error.details() or ""
    expect(code not in ("UNKNOWN", "CANCELLED", "UNAUTHENTICATED"), f"code {code}: {text}")
    expect(len(text) > 10 and " " in text, f"no sentence: {code} {text!r}")
    expect("(null)" not in text and text.isprintable(), f"not readable: {text!r}")
    expect("Success" not in text and "Unknown error" not in text, f"no reason: {text!r}")


def is_monotonous(names, k):
    """Amid a loop over the same few calls, in which one point is like another."""
    return 12 <= k < len(names) - 12 and len(set(names[k - 12:k + 12])) <= 3


class Walker:
    def __init__(self, arguments):
        self.arguments = arguments
        self.driver = Driver(arguments.base, arguments.binary).start()
        self.random = random.Random(arguments.seed)
        self.failures = []
        self.notes = {}
        self.known_names = {}  # (operation, kind, target): the calls, when nothing goes wrong
        self.descriptors = None

    def run_once(self, operation, volume, options):
        tracer = Tracer(self.arguments.tool, self.driver.process.pid, options)
        reply = call(operation, volume)
        outcome = tracer.report()
        outcome.reply = reply
        return outcome

    def revive(self):
        """The driver was killed: kubelet's pod starts it again."""
        self.driver.channel.close()
        self.driver.process.wait(30)
        if os.path.getsize(self.driver.log) > MIB:
            os.rename(self.driver.log, self.driver.log + ".old")
        self.driver.start()
        self.descriptors = None

    def retry(self, operation, volume, seen):
        end = time.monotonic() + RETRY_SECONDS
        while True:
            error = call(operation, volume)
            if error is None:
                return
            check_sentence(error)
            seen.append(f"{error.code().name}: {error.details()}")
            expect(time.monotonic() < end, f"the retry does not succeed: {seen[-1]}")
            time.sleep(0.1)

    def check_driver(self):
        until("workers end", lambda: not kernel.children(self.driver.process.pid), 30)
        if self.descriptors is None:
            time.sleep(0.1)  # the loop may still bury a worker
            self.descriptors = kernel.descriptors(self.driver.process.pid)
        until(f"the driver has {self.descriptors} descriptors again",
              lambda: kernel.descriptors(self.driver.process.pid) == self.descriptors, 5)

    def point(self, operation, volume, injection, number):
        """One point. True when it was reached."""
        operation.prepare(volume)
        # From here on until all is well again the state is not known.
        outcome = self.run_once(operation, volume, [f"--at={number}", *injection.options()])
        if outcome.outcome == "struck" and injection.ends_driver():
            self.revive()
        elif outcome.reply is not None:
            check_sentence(outcome.reply)
        expect(outcome.outcome != "timeout", "the worker did not end within 90 s")
        seen = []
        try:
            if outcome.reply is None and not injection.ends_driver():
                until("workers end", lambda: not kernel.children(self.driver.process.pid), 30)
                try:
                    operation.check(volume)
                except Wrong as wrong:
                    raise Wrong(f"the call said OK, but {wrong}") from wrong
            self.retry(operation, volume, seen)
            self.check_driver()
            operation.check(volume)
        except (Wrong, AssertionError, OSError) as wrong:
            first = outcome.reply and f"{outcome.reply.code().name}: {outcome.reply.details()}"
            raise Wrong(f"at {outcome.name}: {wrong} [first reply: {first or 'OK'}]") from wrong
        volume.state = operation.end
        for sentence in seen:
            if not sentence.startswith("ABORTED"):
                self.note(f"{operation.name}/{volume.kind}: {injection} at {outcome.name}: "
                          f"a retry said {sentence}")
        return outcome.outcome in ("struck", "cannot-fail"), outcome

    def note(self, text):
        self.notes[text] = self.notes.get(text, 0) + 1

    def guarded_point(self, what, operation, volume, injection, number):
        try:
            return self.point(operation, volume, injection, number)[0]
        except (Wrong, AssertionError, OSError, grpc.RpcError, subprocess.SubprocessError) as wrong:
            self.failures.append((what, volume.kind, operation.name, str(injection), number,
                                  str(wrong)))
            print(f"FAIL {operation.name}/{volume.kind}, {injection}, call {number}: {wrong}",
                  flush=True)
            self.recover(volume)
            return True

    def recover(self, volume):
        if self.driver.process.poll() is None:
            self.driver.process.kill()
        until("old workers end", lambda: not self.leftover_workers(), 60)
        volume.rescue()
        self.revive()

    def leftover_workers(self):
        binary = os.path.realpath(self.arguments.binary)
        found = []
        for link in glob.glob("/proc/[0-9]*/exe"):
            try:
                if os.readlink(link) == binary:
                    found.append(link)
            except OSError:
                pass
        return found

    def names(self, operation, volume, target):
        """The calls of the operation when nothing goes wrong."""
        operation.prepare(volume)
        outcome = self.run_once(operation, volume, [f"--target={target}", "--list"])
        expect(outcome.reply is None and outcome.outcome == "complete",
               f"{operation.name} fails without injection: {outcome.reply}")
        until("workers end", lambda: not kernel.children(self.driver.process.pid), 30)
        operation.check(volume)
        volume.state = operation.end
        return outcome.listed

    def sample(self, names, budget):
        """Spread over the operation: from each slice one call, rather one that changes things."""
        every = [k for k in range(len(names)) if k % 16 == 0 or not is_monotonous(names, k)]
        if not budget or budget >= len(every):
            return [k + 1 for k in (every if budget or self.arguments.thin else range(len(names)))]
        points = []
        for slot in range(budget):
            here = every[slot * len(every) // budget:(slot + 1) * len(every) // budget]
            changing = [k for k in here if names[k] in CHANGES]
            points.append(self.random.choice(changing or here) + 1)
        return points

    def walk(self, what, operation, volume, injections, budget):
        """Points tried and the number of calls of the operation."""
        target = "children" if injections[0].target == "children" else "worker"
        key = (operation.name, volume.kind, target)
        if key not in self.known_names:
            self.known_names[key] = self.names(operation, volume, target)
        names, tried = self.known_names[key], 0
        if self.arguments.names:
            print(f"calls of {operation.name}/{volume.kind}: {' '.join(names)}", flush=True)
        points = self.sample(names, budget)
        for place, number in enumerate(points):
            if time.monotonic() > self.arguments.end:
                break
            chosen = injections if not self.arguments.rotate else [
                injections[(place + self.arguments.seed) % len(injections)]]
            for injection in chosen:
                self.guarded_point(what, operation, volume, injection, number)
                tried += 1
        return tried, len(names)


# ---------------------------------------------------------------- what is walked

def plans(arguments):
    """[(pass, kind of volume, operations, injections, weight of the budget)]"""
    if arguments.what == "errors":
        errors = [Injection(error=name) for name in arguments.errors]
        in_programs = [Injection("children", name) for name in arguments.errors]
        yield "errors", "ext4", errors, 1.0
        yield "errors-in-programs", "ext4", in_programs, 0.5
        yield "errors", "block", errors, 0.5
        yield "errors", "xfs", errors, 0.2
    else:
        yield "kill-worker", "ext4", [Injection("worker")], 1.0
        yield "kill-driver", "ext4", [Injection("driver")], 0.2
        yield "kill-both", "ext4", [Injection("both")], 0.2
        yield "kill-in-program", "ext4", [Injection("children")], 0.8
        yield "kill-worker", "block", [Injection("worker")], 0.4
        yield "kill-worker", "xfs", [Injection("worker")], 0.2


def wanted(arguments, operation, what, kind):
    if arguments.operations and operation.name not in arguments.operations:
        return False
    if arguments.kinds and kind not in arguments.kinds:
        return False
    if arguments.passes and what not in arguments.passes:
        return False
    if "program" in what:
        return operation.name in ("first-stage", "stage-again", "node-expand")
    return kind == "ext4" or operation.name in ("first-stage", "stage-again", "publish", "unpublish",
                                                "node-expand", "unstage")


def print_failures(failures):
    """The same thing at many calls is one line."""
    alike = {}
    for what, kind, operation, injection, number, text in failures:
        alike.setdefault((what, kind, operation, text), []).append(f"{injection} at {number}")
    for (what, kind, operation, text), where in alike.items():
        shown = ", ".join(where[:8]) + (", ..." if len(where) > 8 else "")
        print(f"failed {len(where)} times: {what}: {operation}/{kind} [{shown}]: {text}")


def append_results(path, rows, failures):
    with open(path, "a", encoding="utf-8") as out:
        for what, kind, name, calls, tried, failed, _ in rows:
            title = f"{what}: {name} ({kind}), {tried} points of {calls} calls"
            first = [f"{failure[3]} at call {failure[4]}: {failure[5]}" for failure in failures
                     if failure[:3] == (what, kind, name)][:1]
            reason = "".join(c if c.isprintable() else " " for c in f"{failed} failed; {''.join(first)}")
            out.write(f"fail\t{title}\t{reason}\n" if failed else f"pass\t{title}\t\n")


def print_table(rows, failures):
    line = "{:<26} {:<6} {:<18} {:>7} {:>7} {:>9} {:>8}"
    print(line.format("what goes wrong", "volume", "operation", "calls", "points", "failures", "s"))
    for what, kind, name, calls, tried, failed, seconds in rows:
        print(line.format(what, kind, name, calls, tried, failed, seconds))
    print(line.format("all", "", "", "", sum(row[4] for row in rows), len(failures),
                      sum(row[6] for row in rows)), flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["kills", "errors"])
    parser.add_argument("--tool", required=True, help="syscallpoint")
    parser.add_argument("--binary", required=True, help="lukscryptwalker-csi")
    parser.add_argument("--base", required=True, help="an empty folder on a real file system")
    parser.add_argument("--budget", type=float, default=0, help="points of each walk; 0: every call")
    parser.add_argument("--seconds", type=float, default=1e9, help="no new point after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rotate", action="store_true", help="at each call one of the errors")
    parser.add_argument("--errors", nargs="+", default=ERRORS)
    parser.add_argument("--operations", nargs="+", default=[])
    parser.add_argument("--kinds", nargs="+", default=[])
    parser.add_argument("--passes", nargs="+", default=[])
    parser.add_argument("--names", action="store_true", help="print the calls of each operation")
    parser.add_argument("--thin", action="store_true",
                        help="in long loops of the same calls (wiping, copying) only every 16th")
    parser.add_argument("--results", help="file to append lines of `result` (scripts/lib.sh) to")
    arguments = parser.parse_args()
    arguments.end = time.monotonic() + arguments.seconds
    return arguments


def walk_all(walker, arguments, rows):
    volumes = {}
    for what, kind, injections, weight in plans(arguments):
        for operation in OPERATIONS:
            if not wanted(arguments, operation, what, kind) or time.monotonic() > arguments.end:
                continue
            volume = volumes.setdefault(kind, Volume(walker.driver, kind))
            before, start = len(walker.failures), time.monotonic()
            budget = max(1, round(arguments.budget * weight)) if arguments.budget else 0
            tried, calls = walker.walk(what, operation, volume, injections, budget)
            rows.append((what, kind, operation.name, calls, tried,
                         len(walker.failures) - before, round(time.monotonic() - start)))
            print("  " + " ".join(str(cell) for cell in rows[-1]), flush=True)
        for volume in volumes.values():
            volume.go("absent")


def main():
    arguments = parse()
    print(f"seed {arguments.seed}", flush=True)
    walker = Walker(arguments)
    rows = []
    try:
        walk_all(walker, arguments, rows)
    finally:
        walker.driver.stop()
    for text, count in sorted(walker.notes.items()):
        print(f"note ({count} times): {text}")
    print_failures(walker.failures)
    print_table(rows, walker.failures)
    for _, _, name, _, tried, failed, _ in rows:
        summary.add(arguments.what, name, tried, failed)
    if arguments.results:
        append_results(arguments.results, rows, walker.failures)
    return 1 if walker.failures or not sum(row[4] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
