#!/usr/bin/env python3
"""load.py: many clients with mixed operations on many volumes, and a driver that keeps dying.

Every client takes a volume that nobody works on and does what comes next in its life: create,
stage, publish, write, read back, expand, stats, unpublish, unstage, delete. A call is repeated as
kubelet repeats it. The driver is killed with SIGKILL every --kill-every seconds; its workers go on.
Meanwhile a process of its own, as kubelet's is one, asks Probe ten times a second.
At the end every volume must hold what was written, and nothing may be left in the kernel.
Prints one table; started by scripts/torture load and a case of tests/vm, as root.
"""
import argparse
import collections
import copy
import hashlib
import os
import random
import select
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import kernel  # noqa: E402
from driver import Driver, until  # noqa: E402

import grpc  # noqa: E402
import summary  # noqa: E402

MIB = 1 << 20
SIZE = 24 * MIB
# What kubelet repeats without a word; any other answer is a failure of this test.
AGAIN = {"UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED", "CANCELLED"}
FIRST_WAIT, LONGEST_WAIT = 0.5, 10  # kubelet's first is the same, its longest is two minutes
RECONNECT = 0.5  # a client finds the driver again
FULL = "calls are running, the limit is"  # UNAVAILABLE for want of a worker


def content(name, number):
    """The bytes of one file: made again from its name to be compared."""
    block = hashlib.sha256(f"{name} {number}".encode()).digest()
    return block * (1000 + number % 50 * 100)


class Volume:
    """What one volume should be, in the hands of one client at a time."""

    def __init__(self, name):
        self.name, self.lock = name, threading.Lock()
        self.forget()

    def forget(self):
        self.state, self.files, self.size, self.volume = "absent", [], SIZE, None


class Load:
    """The driver, its volumes, and what was seen."""

    def __init__(self, options):
        self.options = options
        self.driver = Driver(options.base, options.binary)
        self.volumes = [Volume(f"load-{number}") for number in range(options.volumes)]
        self.counts, self.failures = collections.Counter(), []
        self.probes, self.starts, self.downs = [], [], []
        self.full_starts = []  # with every volume staged
        self.stopping = threading.Event()

    # One call, as kubelet makes it.
    def call(self, what, body):
        end, wait = time.monotonic() + self.options.patience, FIRST_WAIT
        while True:
            try:
                result = body()
                self.counts[what] += 1
                return result
            except grpc.RpcError as error:
                code = error.code().name
                # A worker that was alone with a dead driver cannot say how it ended.
                full = code == "UNAVAILABLE" and FULL in (error.details() or "")
                if code not in AGAIN or time.monotonic() > end:
                    raise AssertionError(f"{what}: {code}: {error.details()}") from error
            self.counts["again: too many calls" if full else "again"] += 1
            time.sleep(wait * (0.5 + random.random()))
            wait = min(wait * 2, LONGEST_WAIT)

    # The steps of a volume's life. `c` is the client's own connection.
    def create(self, c, v):
        v.volume = self.call("create", lambda: c.create(v.name, SIZE, allocation="thin"))
        v.state = "created"

    def stage(self, c, v):
        self.call("stage", lambda: c.stage(v.volume))
        v.state = "staged"

    def publish(self, c, v):
        self.call("publish", lambda: c.publish(v.volume))
        v.state = "published"

    def write(self, c, v):
        number = len(v.files)
        if number >= 40:
            return
        with open(f"{c.target(v.name)}/{number}", "wb") as out:
            out.write(content(v.name, number))
            os.fsync(out.fileno())
        v.files.append(number)
        self.counts["write"] += 1

    def read(self, c, v):
        for number in v.files:
            with open(f"{c.target(v.name)}/{number}", "rb") as file:
                assert file.read() == content(v.name, number), f"{v.name} lost file {number}"
        self.counts["read"] += 1

    def expand(self, c, v):
        if v.size >= SIZE + 4 * MIB:
            return
        v.size += 4 * MIB
        self.call("expand", lambda: c.expand(v.name, v.size))
        self.call("node expand", lambda: c.node_expand(v.name, c.target(v.name)))

    def stats(self, c, v):
        found = self.call("stats", lambda: c.stats(v.name, c.target(v.name)))
        assert not found.volume_condition.abnormal, found.volume_condition.message

    def unpublish(self, c, v):
        self.call("unpublish", lambda: c.unpublish(v.name))
        v.state = "staged"

    def unstage(self, c, v):
        self.call("unstage", lambda: c.unstage(v.name))
        v.state = "created"

    def delete(self, c, v):
        self.call("delete", lambda: c.delete(v.name))
        v.forget()

    def step(self, c, v, chance):
        steps = {"absent": [self.create], "created": [self.stage] * 9 + [self.delete],
                 "staged": [self.publish] * 4 + [self.unstage],
                 "published": [self.write] * 3 + [self.read, self.stats, self.expand, self.unpublish]}
        chance.choice(steps[v.state])(c, v)

    # Threads.
    def client(self, seed):
        chance, mine = random.Random(seed), copy.copy(self.driver).connect()
        while not self.stopping.is_set():
            volume = chance.choice(self.volumes)
            if not volume.lock.acquire(blocking=False):
                continue
            try:
                self.step(mine, volume, chance)
            except (AssertionError, OSError) as error:
                self.failures.append(f"{volume.name}: {error}")
                self.stopping.set()
            finally:
                volume.lock.release()
        mine.channel.close()

    def take_probes(self, lines):
        """What prober() has seen, except where there was no driver."""
        for begin, end, code in (line.split() for line in lines.splitlines()):
            begin, end = float(begin), float(end)
            if code == "UNAVAILABLE" or any(begin < up and down < end for down, up in self.downs):
                continue
            self.probes.append(end - begin)
            if code != "OK":
                self.failures.append(f"Probe: {code} after {end - begin:.1f} s")

    def restart(self, starts):
        down = time.monotonic()
        self.driver.kill()
        begin = time.monotonic()
        self.driver.start()
        starts.append(time.monotonic() - begin)
        if self.options.pod:
            as_in_a_pod(self.driver.process.pid)
        self.downs.append((down, time.monotonic() + RECONNECT))

    def run(self):
        self.driver.start()
        if self.options.pod:
            as_in_a_pod(self.driver.process.pid)
        probing = subprocess.Popen([sys.executable, __file__, "--prober", self.options.base],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.descriptors = kernel.descriptors(self.driver.process.pid)
        threads = [threading.Thread(target=self.client, args=(self.options.seed + number,))
                   for number in range(self.options.clients)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + self.options.seconds
        while time.monotonic() < end and not self.stopping.is_set():
            if self.stopping.wait(min(self.options.kill_every, max(0, end - time.monotonic()))):
                break
            self.restart(self.starts)
        self.stopping.set()
        self.take_probes(probing.communicate(timeout=60)[0])
        for thread in threads:
            thread.join(self.options.patience * 2)
        self.finish()

    def check_idle(self):
        """Nothing of the driver is left but itself."""
        pid = self.driver.process.pid
        until("the workers end", lambda: not kernel.children(pid), 120)
        base = self.options.base
        left = [mount[0] for mount in kernel.mounts() if mount[0].startswith(base + "/")]
        left += [name for name in kernel.mappings() if name.startswith("luks-load-")]
        until("loop devices go", lambda: not [row for row in kernel.loops().values()
                                              if (row["back-file"] or "").startswith(base + "/")], 10)
        assert not left, f"left behind: {left}"
        until("descriptors close", lambda: kernel.descriptors(pid) <= self.descriptors + 1, 10)

    def stage_share(self, volumes):
        mine = copy.copy(self.driver).connect()
        try:
            for volume in volumes:
                if volume.state == "absent":
                    self.create(mine, volume)
                if volume.state == "created":
                    self.stage(mine, volume)
        except AssertionError as error:
            self.failures.append(f"{volume.name}: {error}")
        mine.channel.close()

    def start_with_all_staged(self):
        """How long a start takes when every volume is open."""
        shares = [self.volumes[at::4] for at in range(4)]
        threads = [threading.Thread(target=self.stage_share, args=(share,)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(volume.state in ("staged", "published") for volume in self.volumes), "not all staged"
        for _ in range(10):
            self.restart(self.full_starts)
            self.driver.probe()

    def finish(self):
        """Every volume is opened once more, read, closed and deleted."""
        try:
            self.start_with_all_staged()
            for volume in self.volumes:
                if volume.state == "staged":
                    self.publish(self.driver, volume)
                self.read(self.driver, volume)
                self.unpublish(self.driver, volume)
                self.unstage(self.driver, volume)
                self.delete(self.driver, volume)
            self.check_idle()
            assert self.driver.stop() == 0, "the driver did not end well"
        except AssertionError as error:
            self.failures.append(str(error))


def as_in_a_pod(pid):
    """Its share of the processor, and its workers', is one among those of the node's cgroups."""
    with open("/sys/fs/cgroup/cgroup.subtree_control", "w", encoding="ascii") as control:
        control.write("+cpu")
    os.makedirs("/sys/fs/cgroup/lcw-load", exist_ok=True)
    with open("/sys/fs/cgroup/lcw-load/cgroup.procs", "w", encoding="ascii") as processes:
        processes.write(str(pid))


def prober(base):
    """Until stdin ends: begin, end and outcome of each Probe, a line each at the end."""
    driver, seen = Driver(base, "").connect(), []
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        begin, code = time.monotonic(), "OK"
        try:
            driver.probe()
        except grpc.RpcError as error:
            code = error.code().name
        seen.append(f"{begin} {time.monotonic()} {code}")
    print("\n".join(seen))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000 if values else 0


def report(load):
    print(f"{'operation':<22} {'calls':>7}")
    for what, count in sorted(load.counts.items()):
        print(f"{what:<22} {count:>7}")
    o = load.options
    figures = {
        "driver killed": (len(load.starts), f"start: median {percentile(load.starts, 0.5):.0f} ms, "
                                      f"worst {percentile(load.starts, 1):.0f} ms"),
        f"{o.volumes} staged, killed": (len(load.full_starts),
                                        f"start: median {percentile(load.full_starts, 0.5):.0f} ms, "
                                        f"worst {percentile(load.full_starts, 1):.0f} ms"),
        "Probe": (len(load.probes), ", ".join(
            f"{name} {percentile(load.probes, share):.1f} ms" for name, share in
            (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("worst", 1)))),
    }
    for what, (count, text) in figures.items():
        print(f"{what}, {count} times: {text}")
        summary.add("load", what, count, 0, text)
    answered = sum(count for what, count in load.counts.items() if not what.startswith("again"))
    summary.add("load", "calls, all answered", answered, len(load.failures),
                f"{o.volumes} volumes, {o.clients} clients, {o.seconds} s, "
                f"driver killed every {o.kill_every:g} s")
    for failure in load.failures:
        print(f"FAILED {failure}")
    print(f"{load.options.volumes} volumes, {load.options.clients} clients, {load.options.seconds} s: "
          f"{len(load.failures)} failures")
    return 1 if load.failures else 0


def main():
    if sys.argv[1:2] == ["--prober"]:
        return prober(sys.argv[2])
    parser = argparse.ArgumentParser()
    parser.add_argument("--volumes", type=int, default=500)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--kill-every", type=float, default=20)
    parser.add_argument("--patience", type=float, default=600,
                        help="a call that kubelet would still repeat after this time is a failure")
    parser.add_argument("--pod", action="store_true", help="the driver in a cgroup of its own (v2)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--base", required=True)
    parser.add_argument("--binary", required=True)
    load = Load(parser.parse_args())
    load.run()
    return report(load)


sys.exit(main())
