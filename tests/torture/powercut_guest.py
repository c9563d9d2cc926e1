#!/usr/bin/env python3
"""powercut_guest.py PHASE ROUND: one boot of tests/torture/powercut, inside the VM.

Finishes what the last power cut interrupted, as kubelet would; checks everything that was ever
promised; then repeats the operation of PHASE until the power goes. What was promised stands in
$RESULTS/journal, which is on the host and survives.
"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import kernel  # noqa: E402
from driver import Driver, mount_capability  # noqa: E402

import csi_pb2 as csi  # noqa: E402

MIB = 1 << 20
RUN = "/run/lcw-powercut"
DISK = "/mnt/disk"
JOURNAL = os.path.join(os.environ["RESULTS"], "journal")
SIZES = {"ext4": 32 * MIB, "xfs": 304 * MIB}
KEPT = {"keep-ext4": "ext4", "keep-xfs": "xfs"}


class Lost(Exception):
    """Something that was promised is not so."""


def expect(fact, what):
    if not fact:
        raise Lost(what)


def line(number):
    return b"%012d\n" % number


class Journal:
    """What was asked for and what was promised, by volume."""

    def __init__(self):
        self.volumes = {}
        if os.path.exists(JOURNAL):
            with open(JOURNAL, encoding="ascii") as entries:
                for text in entries:
                    if text.endswith("}\n"):
                        self.take(json.loads(text))
        self.file = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def take(self, entry):
        what, name = entry["what"], entry.get("volume")
        if not name:
            return
        volume = self.volumes.setdefault(name, {"lines": 0, "uuid": None, "wanted": 0})
        volume.update({key: value for key, value in entry.items() if key not in ("what", "volume")})
        volume["state"] = what

    def say(self, what, volume=None, **facts):
        entry = {"what": what, **({"volume": volume} if volume else {}), **facts}
        self.take(entry)
        os.write(self.file, (json.dumps(entry) + "\n").encode("ascii"))


class Guest:
    """The driver on the disk, and the operations between cuts."""

    def __init__(self, journal, binary):
        self.journal = journal
        self.binary = binary
        self.driver = Driver(f"{DISK}/base", binary, options=[f"--run-dir={RUN}"]).start()

    def volume(self, name):
        """CreateVolume, which may be repeated: the volume as kubelet knows it."""
        facts = self.journal.volumes[name]
        fs = facts["fs"]
        return self.driver.create(name, SIZES[fs], mount_capability(fs), fsType=fs,
                                  allocation=facts["allocation"])

    def create(self, name, fs, allocation="thick"):
        self.journal.say("create", name, fs=fs, allocation=allocation)
        self.volume(name)
        self.journal.say("created", name, size=SIZES[fs])

    def stage(self, name):
        facts = self.journal.volumes[name]
        fs = facts["fs"]
        if max(facts.get("size", 0), facts["wanted"]) > SIZES[fs]:
            # CreateVolume with the first size is refused from the moment that more was asked for,
            # whether the answer came before the cut or not; the context is all that counts.
            volume = csi.Volume(volume_id=name, volume_context={"local-path": self.driver.data})
        else:
            volume = self.volume(name)
        self.driver.stage(volume, mount_capability(fs))
        if not facts["uuid"]:
            self.journal.say("staged", name, uuid=kernel.luks_uuid(self.driver.image(name)))

    def log_of(self, name):
        return f"{self.driver.staging(name)}/log"

    def append(self, name, count):
        """Lines that are promised once fsync has returned."""
        at = self.journal.volumes[name]["lines"]
        out = os.open(self.log_of(name), os.O_WRONLY | os.O_CREAT)
        os.ftruncate(out, at * len(line(0)))
        os.lseek(out, 0, os.SEEK_END)
        os.write(out, b"".join(line(number) for number in range(at, at + count)))
        os.fsync(out)
        os.close(out)
        if at == 0:
            folder = os.open(self.driver.staging(name), os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        self.journal.say("synced", name, lines=at + count)

    def expand(self, name, size):
        self.journal.say("expand", name, wanted=size)
        self.driver.expand(name, size)
        self.driver.node_expand(name, self.driver.staging(name))
        self.journal.say("expanded", name, size=size)

    def reencrypt(self, name, *options):
        """A new volume key; one whose making was cut off is gone on with."""
        self.journal.say("reencrypt", name)
        done = subprocess.run(
            [os.path.join(os.path.dirname(self.binary), "lcw"), "volume", "reencrypt", name,
             "--passphrase-fd=0", *options, f"--state-dir={self.driver.base}/state", f"--run-dir={RUN}",
             f"--node-id={self.driver.node}", f"--kubelet-dir={self.driver.kubelet}"],
            input=b"correct horse", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240, check=False)
        expect(done.returncode == 0, f"{name} is not reencrypted: {done.stdout.decode()}")
        self.journal.say("reencrypted", name)

    def delete(self, name):
        self.journal.say("delete", name)
        self.driver.delete(name)
        expect(not os.path.exists(f"{self.driver.data}/{name}"), f"{name} is not gone")
        self.journal.say("deleted", name)

    def check(self, name):
        """Stages the volume and looks whether all that was promised is there."""
        facts = self.journal.volumes[name]
        self.stage(name)
        expect(kernel.luks_uuid(self.driver.image(name)) == facts["uuid"], f"{name} was formatted again")
        if facts["lines"]:
            with open(self.log_of(name), "rb") as log:
                found = log.read(facts["lines"] * len(line(0)))
            expect(found == b"".join(line(number) for number in range(facts["lines"])),
                   f"{name} lost synced lines: {len(found) // len(line(0))} of {facts['lines']} are there")
        if facts["wanted"] > facts.get("size", 0):
            self.expand(name, facts["wanted"])
        total = os.statvfs(self.driver.staging(name))
        expect(total.f_blocks * total.f_frsize > facts.get("size", 0) * 6 // 10, f"{name} has shrunk")
        self.driver.unstage(name)

    def recover(self):
        for name, facts in list(self.journal.volumes.items()):
            if facts["state"] == "deleted":
                expect(not os.path.exists(f"{self.driver.data}/{name}"), f"{name} has come back")
            elif facts["state"] == "delete":
                self.delete(name)
            else:
                if facts["state"] == "create":
                    self.create(name, facts["fs"], facts["allocation"])
                elif facts["state"] == "reencrypt":
                    self.reencrypt(name)
                self.check(name)
                if name not in KEPT:
                    self.delete(name)
        listed = {entry.volume.volume_id for entry in self.driver.controller.ListVolumes(
            csi.ListVolumesRequest(), timeout=60).entries}
        alive = {name for name, facts in self.journal.volumes.items() if facts["state"] != "deleted"}
        expect(listed == alive, f"the list has {listed}, there are {alive}")
        expect(not kernel.mappings(), "mappings are left")

    # The phases: each says "ready" and goes on until the power is cut.

    def ready(self):
        self.journal.say("ready")

    def new_name(self, number):
        return f"v{self.round}-{number}"

    def phase_create(self):
        self.ready()
        for number in range(1000):
            self.create(self.new_name(number), "ext4", ("thick", "thin")[number % 2])
            if number >= 2:
                self.delete(self.new_name(number - 2))

    def phase_format(self):
        fs = ("ext4", "xfs")[self.round % 2]
        for number in range(1000):
            name = self.new_name(number)
            self.create(name, fs)
            self.ready()
            self.stage(name)
            self.append(name, 100)
            self.driver.unstage(name)
            self.delete(name)

    def phase_expand(self):
        name = list(KEPT)[self.round % 2]
        self.stage(name)
        self.ready()
        while True:
            self.expand(name, self.journal.volumes[name]["size"] + 8 * MIB)
            self.append(name, 20)

    def phase_write(self):
        for name in KEPT:
            self.stage(name)
        self.ready()
        while True:
            for name in KEPT:
                self.append(name, 200)

    def phase_delete(self):
        for number in range(1000):
            name = self.new_name(number)
            self.create(name, "ext4")
            self.stage(name)
            self.append(name, 20)
            self.driver.unstage(name)
            self.ready()
            self.delete(name)

    def phase_reencrypt(self):
        self.ready()
        while True:
            self.reencrypt("keep-ext4", "--rate=6Mi")

    def phase_prepare(self):
        for name, fs in KEPT.items():
            if name not in self.journal.volumes:
                self.create(name, fs)
                self.stage(name)
                self.append(name, 1000)
                self.driver.unstage(name)

    def phase_check(self):
        """Only what recover() did."""


def main():
    phase, round_ = sys.argv[1], int(sys.argv[2])
    disk = os.environ["LCW_DISKS"].split()[0]
    journal = Journal()
    if phase == "prepare":
        kernel.run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", disk)
    os.makedirs(DISK, exist_ok=True)
    subprocess.run(["e2fsck", "-p", disk], check=False)
    kernel.run("mount", disk, DISK)
    guest = Guest(journal, os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi"))
    guest.round = round_
    try:
        begin = time.monotonic()
        guest.recover()
        journal.say("recovered", seconds=round(time.monotonic() - begin, 1))
        getattr(guest, f"phase_{phase}")()
    except Exception as error:
        journal.say("lost" if isinstance(error, Lost) else "failed", why=f"{type(error).__name__}: {error}"[:400])
        raise
    guest.driver.stop()
    kernel.run("umount", DISK)


main()
