#!/usr/bin/env python3
"""s3_kills.py: rclone, the mounter and the driver are killed at random moments while a writer writes.

The writer makes files, appends to one and writes in place into another; what fsync(2) has said yes
to goes into a ledger. Each round kills one or two of the processes, sometimes again while the
recovery runs, stages as kubelet does until it works, and looks that the writer goes on. At the end
the volume is drained, and all of the ledger must be in the bucket, as the plain rclone CLI reads it.
A round that kills the driver alone must cost the writer no error.
Prints one line for each round; started by scripts/torture s3 and a case of tests/vm, as root.
"""
import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import kernel  # noqa: E402
from driver import Driver, mount_capability, until  # noqa: E402
from s3 import Cli, Server  # noqa: E402

import csi_pb2 as csi  # noqa: E402
import grpc  # noqa: E402
from summary import add  # noqa: E402

AGAIN = {"UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED", "CANCELLED", "FAILED_PRECONDITION"}
PATIENCE = 240
RECORD, SLOTS = 64, 500  # bytes of one write in place, and how many places there are
LINES = 20  # of one file that is appended to
VICTIMS = ("rclone", "mounter", "driver", "driver and workers", "rclone and driver",
           "mounter and driver", "all")


def content(name):
    """The bytes of a file: made again from its name to be compared."""
    block = hashlib.sha256(name.encode()).digest()
    return block * (1 + block[0] * 8)


def record(number):
    return f"{number:08d} {hashlib.sha256(b'%d' % number).hexdigest()[:54]}\n".encode()


class Writer:
    """In a process of its own: an error of the mount is noted, and the file opened anew."""

    def __init__(self, folder, ledger, stop):
        self.folder, self.stop, self.number = folder, stop, 0
        self.ledger = open(ledger, "w", encoding="ascii", buffering=1)  # pylint: disable=R1732

    def step(self, kind, name, flags, data, offset=None):
        """True when it is synced; only then it counts."""
        out = None
        try:
            out = os.open(f"{self.folder}/{name}", flags, 0o644)
            written = os.write(out, data) if offset is None else os.pwrite(out, data, offset)
            os.fsync(out)
            done = written == len(data)
        except OSError as error:
            self.ledger.write(json.dumps(["error", time.time(), error.errno, name]) + "\n")
            done = False
        finally:
            if out is not None:
                with contextlib.suppress(OSError):
                    os.close(out)
        if done:
            self.ledger.write(json.dumps([kind, time.time(), self.number, name]) + "\n")
        else:
            time.sleep(0.1)
        return done

    def run(self):
        create, lines, places = os.O_CREAT | os.O_WRONLY, 0, 0
        while not os.path.exists(self.stop):
            name = f"file-{self.number:06d}"
            self.step("file", name, create | os.O_TRUNC, content(name))
            lines += self.step("line", f"log-{lines // LINES}", create | os.O_APPEND, record(lines))
            places += self.step("place", "places", create, record(places), places % SLOTS * RECORD)
            self.number += 1
            time.sleep(0.05)


class Torture:
    def __init__(self, options):
        self.options, self.random = options, random.Random(options.seed)
        self.server = Server(options.base)
        self.driver = Driver(f"{options.base}/driver", options.binary,
                             options=[f"--rclone={os.environ['LCW_RCLONE']}"])
        self.ledger, self.stop = f"{options.base}/ledger", f"{options.base}/stop"
        self.target = self.volume = None
        self.failures = []
        self.longest = 0

    def insist(self, what, call):
        """As kubelet: the same call, until it works."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return call()
            except (grpc.RpcError, ValueError) as error:
                is_rpc = isinstance(error, grpc.RpcError)
                if is_rpc and error.code().name not in AGAIN:
                    raise
                if time.monotonic() > end:
                    raise AssertionError(f"{what}: {error}") from error
                time.sleep(0.3)

    def stage(self):
        self.insist("stage", lambda: self.driver.stage(
            self.volume, secrets=self.server.secrets(), timeout=120))

    def find(self, word):
        return kernel.serving(word, f"{self.driver.base}/run")

    def kill(self, victim):
        pids = []
        if victim in ("rclone", "rclone and driver", "all"):
            pids += self.find("mount2")
        if victim in ("mounter", "mounter and driver", "all"):
            pids += self.find("mounter")
        if victim in ("driver and workers", "all"):
            pids += kernel.children(self.driver.process.pid)
        driver = "driver" in victim or victim == "all"
        if driver:
            self.driver.process.kill()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if driver:
            self.driver.kill()
            self.driver.start()

    def entries(self):
        found = []
        with open(self.ledger, encoding="ascii") as lines:
            for line in lines:
                if line.endswith("\n"):
                    found.append(json.loads(line))
        return found

    def synced(self, since):
        return [entry for entry in self.entries() if entry[0] != "error" and entry[1] > since]

    def round(self, number):
        victim, start = self.random.choice(VICTIMS), time.time()
        time.sleep(self.random.uniform(0.2, 4))
        before = time.time()
        self.kill(victim)
        again = None
        if self.random.random() < 0.4:
            # Once more, while it is recovered from: another victim, at another moment.
            again = self.random.choice(VICTIMS)
            stager = threading.Thread(target=self.stage)
            stager.start()
            time.sleep(self.random.uniform(0, 4))
            self.kill(again)
            stager.join()
        self.stage()
        served = time.time()
        until("the writer goes on", lambda: len(self.synced(served)) >= 4, PATIENCE)
        errors = [entry for entry in self.entries() if entry[0] == "error" and entry[1] > start]
        if errors and victim.startswith("driver") and (again or victim).startswith("driver"):
            self.failures.append(f"round {number}: {victim} cost the writer {errors[0]}")
        self.longest = max(self.longest, time.time() - before)
        print(f"  round {number:3}  {victim:20} {'then ' + again if again else '':24} "
              f"{len(errors):3} errors  {time.time() - before:5.1f} s", flush=True)

    def drain(self):
        self.driver.unpublish("pvc-1")
        self.insist("unstage", lambda: self.driver.unstage("pvc-1", timeout=120))

    def open(self):
        self.stage()
        self.target = self.driver.publish(self.volume)

    def compare(self, folder):
        """The ledger against what the plain CLI has read."""
        names = [entry[3] for entry in self.entries() if entry[0] == "file"]
        lines = sum(entry[0] == "line" for entry in self.entries())
        places = sum(entry[0] == "place" for entry in self.entries())
        for name in sorted(set(names)):
            self.same(folder, name, content(name), bytes.__eq__)
        for number in range(lines):
            self.same(folder, f"log-{number // LINES}", record(number), bytes.__contains__)
        for slot in range(min(places, SLOTS)):
            last = slot + (places - 1 - slot) // SLOTS * SLOTS
            # What was being written at the end and not said to be synced may be there or not.
            wanted = {record(last)} | ({record(places)} if slot == places % SLOTS else set())
            self.same(folder, "places", wanted, lambda data, wanted, slot=slot:
                      data[slot * RECORD:(slot + 1) * RECORD] in wanted)
        return len(names), lines, places

    def same(self, folder, name, wanted, test):
        try:
            with open(f"{folder}/{name}", "rb") as data:
                good = test(data.read(), wanted)
        except FileNotFoundError:
            good = False
        if not good:
            self.failures.append(f"'{name}' is not what was synced")

    def run(self):
        self.server.start()
        self.driver.start()
        self.volume = self.driver.controller.CreateVolume(csi.CreateVolumeRequest(
            name="pvc-1", parameters=self.server.parameters(rclone_vfs_write_back="2s"),
            secrets=self.server.secrets(), volume_capabilities=[mount_capability()],
            capacity_range=csi.CapacityRange(required_bytes=1 << 30)), timeout=120).volume
        self.open()
        with subprocess.Popen([sys.executable, __file__, "--writer", self.target,
                               self.ledger, self.stop]) as writer:
            try:
                until("the writer writes", lambda: os.path.exists(self.ledger) and self.synced(0), 60)
                for number in range(1, self.options.rounds + 1):
                    self.round(number)
            finally:
                with open(self.stop, "w", encoding="ascii"):
                    pass
                writer.wait(120)
        self.drain()
        folder = f"{self.options.base}/read-back"
        Cli(self.server, "volumes/pvc-1/files", "pvc-1").run("copy", "myremote:", folder)
        counts = self.compare(folder)
        errors = sum(entry[0] == "error" for entry in self.entries())
        if self.driver.stop() != 0:
            self.failures.append("the driver did not end well")
        self.server.stop()
        left = [mount[0] for mount in kernel.mounts() if mount[0].startswith(self.driver.base)]
        if left or self.find("mount2") or self.find("mounter"):
            self.failures.append(f"left behind: {left or 'processes'}")
        print(f"{self.options.rounds} rounds (seed {self.options.seed}), longest outage "
              f"{self.longest:.1f} s; synced and found in S3: {counts[0]} files, {counts[1]} appended "
              f"lines, {counts[2]} writes in place; {errors} errors told to the writer; "
              f"{len(self.failures)} failures")
        for failure in self.failures[:20]:
            print(f"  FAIL {failure}")
        add("s3", "rclone, mounter, driver", self.options.rounds, len(self.failures),
            f"seed {self.options.seed}, longest outage {self.longest:.0f} s")
        return 1 if self.failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    os.makedirs(options.base, exist_ok=True)
    return Torture(options).run()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--writer"]:
        Writer(*sys.argv[2:5]).run()
    else:
        sys.exit(main())
