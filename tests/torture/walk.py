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
import plan  # noqa: E402
import summary  # noqa: E402
from driver import Driver, until  # noqa: E402
from volume import MIB, OPERATIONS, Volume, Wrong, expect  # noqa: E402

ERRORS = ["EIO", "ENOSPC", "ENOMEM", "EBUSY", "EINTR", "EMFILE"]
# A node does not fail for the copy: what lies beside the data is the truth, and the next stage writes it (csi/local.h).
LAGS = "cannot write the store's copy of a record"
# Nor for a record that was written and then not synced: the copy says that the change of the passphrase goes on.
NOT_SYNCED = "the change of the passphrase is not complete, going on"
RETRY_SECONDS = 20
CALL_SECONDS = 200  # of an emulated processor that others share


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
    """syscallpoint, from `ready` to its report: in a file, because a pipe that is full before the
    call has ended would stop the worker, whose end the reader waits for."""

    def __init__(self, tool, driver, options):
        self.path = f"{driver.base}/syscallpoint.report"
        self.process = subprocess.Popen(
            [tool, f"--pid={driver.process.pid}", f"--seconds={CALL_SECONDS}", f"--report={self.path}",
             *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        expect(self.process.stdout.readline() == "ready\n", "syscallpoint cannot trace the driver")

    def report(self):
        self.process.communicate(timeout=120)
        outcome = Outcome()
        with open(self.path, encoding="ascii") as text:
            lines = text.read().splitlines()
        for line in lines:
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


class Walker:
    def __init__(self, arguments):
        self.arguments = arguments
        self.driver = Driver(arguments.base, arguments.binary).start()
        self.random = random.Random(arguments.seed)
        self.failures = []
        self.notes = {}
        self.known_names = {}  # (operation, kind, whose calls): the calls, when nothing goes wrong
        self.done = summary.known_points(arguments.what)
        self.descriptors = None

    def run_once(self, operation, volume, options):
        tracer = Tracer(self.arguments.tool, self.driver, options)
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
        begin = os.path.getsize(self.driver.log)
        # From here on until all is well again the state is not known.
        outcome = self.run_once(operation, volume, [f"--at={number}", *injection.options()])
        if outcome.outcome == "struck" and injection.ends_driver():
            self.revive()
        elif outcome.reply is not None:
            check_sentence(outcome.reply)
        expect(outcome.outcome != "timeout", f"the worker did not end within {CALL_SECONDS} s")
        seen = []
        try:
            if outcome.reply is None and not injection.ends_driver():
                until("workers end", lambda: not kernel.children(self.driver.process.pid), 30)
                try:
                    said = self.driver.read_log(begin)
                    volume.copy_may_lag = LAGS in said or (outcome.name == "fsync" and NOT_SYNCED in said)
                    operation.check(volume)
                except Wrong as wrong:
                    raise Wrong(f"the call said OK, but {wrong}") from wrong
                finally:
                    volume.copy_may_lag = False
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
        expect(len(outcome.listed) == outcome.calls, "syscallpoint did not list every call")
        until("workers end", lambda: not kernel.children(self.driver.process.pid), 30)
        operation.check(volume)
        volume.state = operation.end
        return outcome.listed

    def walk(self, what, operation, volume, injections, budget):
        """Points tried and the number of calls of the operation."""
        key = (operation.name, volume.kind, injections[0].counted())
        if key not in self.known_names:
            self.known_names[key] = self.names(operation, volume, key[2])
            if self.arguments.names:
                print(f"calls of {' '.join(key)}: {' '.join(self.known_names[key])}", flush=True)
        names, tried = self.known_names[key], 0
        for number in plan.sample(names, budget, self.arguments.thin, self.random):
            if number < self.arguments.first:
                continue
            chosen = injections if not self.arguments.rotate else [
                injections[(number + self.arguments.seed) % len(injections)]]
            for injection in chosen:
                point = f"{what} {volume.kind} {operation.name} {injection} {number}"
                if point in self.done or time.monotonic() > self.arguments.end:
                    continue
                before = len(self.failures)
                reached = self.guarded_point(what, operation, volume, injection, number)
                self.done.add(point)
                summary.add(self.arguments.what, operation.name, int(reached),
                            len(self.failures) - before, key=point)
                tried += reached
        return tried, len(names)


# ---------------------------------------------------------------- all points

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
        for (what, kind, name), (calls, tried, failed, _) in rows.items():
            title = f"{what}: {name} ({kind}), {tried} points of {calls} calls"
            first = [f"{failure[3]} at call {failure[4]}: {failure[5]}" for failure in failures
                     if failure[:3] == (what, kind, name)][:1]
            reason = "".join(c if c.isprintable() else " " for c in f"{failed} failed; {''.join(first)}")
            out.write(f"fail\t{title}\t{reason}\n" if failed else f"pass\t{title}\t\n")


def print_table(rows, failures):
    line = "{:<26} {:<6} {:<18} {:>7} {:>7} {:>9} {:>8}"
    print(line.format("what goes wrong", "volume", "operation", "calls", "points", "failures", "s"))
    for key, row in rows.items():
        print(line.format(*key, *row))
    print(line.format("all", "", "", "", sum(row[1] for row in rows.values()), len(failures),
                      sum(row[3] for row in rows.values())), flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["kills", "errors"])
    parser.add_argument("--tool", required=True, help="syscallpoint")
    parser.add_argument("--binary", required=True, help="lukscryptwalker-csi")
    parser.add_argument("--base", required=True, help="an empty folder on a real file system")
    parser.add_argument("--budget", type=float, default=0,
                        help="points of each walk; 0: wider and wider, at last every call")
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
    parser.add_argument("--first", type=int, default=1, help="no call before this one")
    parser.add_argument("--results", help="file to append lines of `result` (scripts/lib.sh) to")
    arguments = parser.parse_args()
    arguments.end = time.monotonic() + arguments.seconds
    return arguments


def walk_all(walker, arguments, rows):
    """`rows`: (pass, kind, operation): [calls, points, failures, seconds]"""
    volumes = {}
    rounds = sorted({1, arguments.budget}) if arguments.budget else plan.WIDENING
    for budget in rounds:
        for what, kind, injections, weight in plan.plans(arguments):
            volume = volumes.setdefault(kind, Volume(walker.driver, kind))
            for operation in OPERATIONS:
                if not plan.is_wanted(arguments, operation.name, what, kind):
                    continue
                if time.monotonic() > arguments.end:
                    break
                before, start = len(walker.failures), time.monotonic()
                tried, calls = walker.walk(what, operation, volume, injections,
                                           max(1, round(budget * weight)) if budget else 0)
                row = rows.setdefault((what, kind, operation.name), [0, 0, 0, 0])
                row[:] = [calls, row[1] + tried, row[2] + len(walker.failures) - before,
                          row[3] + round(time.monotonic() - start)]
                print(f"  {what} {kind} {operation.name}: {calls} calls, {row[1]} points, {row[2]} "
                      f"failures, {row[3]} s", flush=True)
            volume.go("absent")


def main():
    arguments = parse()
    print(f"seed {arguments.seed}", flush=True)
    walker = Walker(arguments)
    rows = {}
    try:
        walk_all(walker, arguments, rows)
    finally:
        walker.driver.stop()
    for text, count in sorted(walker.notes.items()):
        print(f"note ({count} times): {text}")
    print_failures(walker.failures)
    print_table(rows, walker.failures)
    if arguments.results:
        append_results(arguments.results, rows, walker.failures)
    return 1 if walker.failures or not walker.done else 0


if __name__ == "__main__":
    sys.exit(main())
