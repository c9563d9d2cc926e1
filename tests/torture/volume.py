"""One volume of the walk: its states, the operations between them, and what must be true there."""
import dataclasses
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import kernel  # noqa: E402
from driver import block_capability, mount_capability  # noqa: E402

MIB = 1 << 20
PASSPHRASE = "correct horse"
DATA = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(8192))  # 256 KiB


class Wrong(Exception):
    """What a check found."""


def expect(condition, what):
    if not condition:
        raise Wrong(what)


# ---------------------------------------------------------------- what the kernel says

def loops_of(folder):
    found = []
    for path in glob.glob("/sys/block/loop*/loop/backing_file"):
        try:
            with open(path, encoding="utf-8") as text:
                if text.read().startswith(folder):
                    found.append(path.split("/")[3])
        except OSError:
            pass
    return found


def mounts_below(folder):
    return [mount for mount in kernel.mounts() if mount[0].startswith(folder + "/")]


def read_at(path, offset, size):
    with open(path, "rb") as content:
        content.seek(offset)
        return content.read(size)


def device_of(mapping):
    for path in glob.glob("/sys/block/dm-*/dm/name"):
        with open(path, encoding="ascii") as name:
            if name.read().strip() == mapping:
                return "/dev/" + path.split("/")[3]
    raise Wrong(f"no mapping {mapping}")


def hex_uuid(raw):
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def fs_uuid(device, fs):
    return hex_uuid(read_at(device, 32 if fs == "xfs" else 1024 + 0x68, 16))


def luks_uuids(image):
    """Of both copies of the header."""
    return {read_at(image, at + 168, 40).rstrip(b"\0").decode("ascii", "replace")
            for at in (0, 16384)}


# ---------------------------------------------------------------- one volume and its states

class Volume:
    """One volume that is brought into the state an operation begins with."""

    def __init__(self, driver, kind):
        self.driver, self.kind, self.id = driver, kind, f"pvc-{kind}"
        self.block = kind == "block"
        self.capability = block_capability() if self.block else mount_capability(kind)
        self.size = self.first_size = 304 * MIB if kind == "xfs" else 20 * MIB
        self.step = 16 * MIB
        self.state = "absent"
        self.uuids = self.saved_uuids = None  # of the formatted volume: (LUKS, file system)
        self.made = None  # the answer of CreateVolume
        self.copy_may_lag = False  # the store's copy of the record, because the driver said so
        self.saved = f"{driver.base}/saved-{kind}"
        self.passphrase = self.previous = PASSPHRASE
        self.changes = 0

    def folder(self):
        return f"{self.driver.data}/{self.id}"

    def store_record(self):
        return f"{self.driver.base}/state/volumes/{self.id}.json"

    # The operations, each as kubelet calls it.
    def create(self):
        self.size = self.first_size
        self.made = self.driver.create(self.id, self.first_size, self.capability)

    def stage(self):
        self.driver.stage(self.made, self.capability, {"passphrase": self.passphrase})

    def rotate(self):
        """A stage with a Secret that holds a new passphrase and the one before."""
        self.driver.stage(self.made, self.capability,
                          {"passphrase": self.passphrase, "passphrase-previous": self.previous})

    def change_secret(self):
        self.changes += 1
        self.previous, self.passphrase = self.passphrase, f"{PASSPHRASE} {self.changes}"

    def publish(self):
        self.driver.publish(self.made, self.capability)

    def unpublish(self):
        self.driver.unpublish(self.id)

    def unstage(self):
        self.driver.unstage(self.id)

    def delete(self):
        self.driver.delete(self.id)

    def expand(self):
        self.driver.expand(self.id, self.size)

    def node_expand(self):
        self.driver.node_expand(self.id, self.driver.target(self.id), self.size)

    # The way from any state to any other, without injection.
    def go(self, state):
        order = ["absent", "reserved", "unstaged", "staged", "published"]
        if state in ("absent", "reserved") and self.state not in ("absent", state):
            self.go_down("unstaged" if order.index(self.state) > 2 else self.state)
            self.wipe()
        if order.index(self.state) > order.index(state):
            self.go_down(state)
        while self.state != state:
            self.step_up(state)

    def go_down(self, state):
        if self.state == "published" and state != "published":
            self.unpublish()
            self.state = "staged"
        if self.state == "staged" and state != "staged":
            self.unstage()
            self.state = "unstaged"

    def step_up(self, goal):
        if self.state == "absent" and goal == "reserved":
            self.create()
            self.state = "reserved"
        elif self.state == "absent":
            self.restore() if os.path.exists(self.saved) else self.format()
            self.state = "unstaged"
        elif self.state == "reserved":
            self.wipe()
        elif self.state == "unstaged":
            self.stage()
            self.state = "staged"
        else:
            self.publish()
            self.state = "published"

    def format(self):
        """A formatted volume with data, kept as files: making it anew costs a copy."""
        self.create()
        self.stage()
        self.write_data()
        self.uuids = self.saved_uuids = self.uuids_now()
        self.unstage()
        os.makedirs(self.saved)
        kernel.run("cp", "-a", "--sparse=always", self.folder(), f"{self.saved}/folder")
        shutil.copy2(self.store_record(), f"{self.saved}/store.json")

    def restore(self):
        os.makedirs(self.driver.data, exist_ok=True)
        kernel.run("cp", "-a", "--sparse=always", f"{self.saved}/folder", self.folder())
        shutil.copy2(f"{self.saved}/store.json", self.store_record())
        self.size, self.uuids = self.first_size, self.saved_uuids
        self.passphrase = PASSPHRASE

    def wipe(self):
        shutil.rmtree(self.folder(), ignore_errors=True)
        if os.path.exists(self.store_record()):
            os.unlink(self.store_record())
        self.state, self.size = "absent", self.first_size
        self.passphrase = PASSPHRASE

    def rescue(self):
        """After a failure: by hand, whatever is left."""
        for mount in reversed(mounts_below(self.driver.kubelet)):
            subprocess.run(["umount", "-l", mount[0]], check=False)
        for name in kernel.mappings():
            subprocess.run(["dmsetup", "remove", "--retry", name], check=False)
        for loop in loops_of(self.driver.data):
            subprocess.run(["losetup", "-d", f"/dev/{loop}"], check=False)
        shutil.rmtree(self.driver.target(self.id), ignore_errors=True)
        if os.path.exists(self.driver.target(self.id)):
            os.unlink(self.driver.target(self.id))
        self.wipe()

    # What is there.
    def record(self, path=None):
        with open(path or self.driver.record(self.id), encoding="utf-8") as text:
            return json.load(text)

    def data_path(self, published):
        if self.block:
            return device_of(f"luks-{self.id}")
        place = self.driver.target(self.id) if published else self.driver.staging(self.id)
        return f"{place}/data"

    def write_data(self):
        with open(self.data_path(False), "r+b" if self.block else "wb") as out:
            out.write(DATA)
            out.flush()
            os.fsync(out.fileno())

    def uuids_now(self):
        luks = luks_uuids(self.driver.image(self.id))
        expect(len(luks) == 1, f"the two LUKS headers differ: {luks}")
        device = device_of(f"luks-{self.id}")
        return luks.pop(), None if self.block else fs_uuid(device, self.kind)

    # Checks: each raises Wrong.
    def check(self, state, had_data):
        self.check_kernel(state)
        self.check_files(state)
        if state in ("staged", "published"):
            self.check_content(state, had_data)

    def check_kernel(self, state):
        is_open = state in ("staged", "published")
        loops = loops_of(self.driver.data)
        expect(len(loops) == (1 if is_open else 0), f"loop devices: {loops or 'none'}")
        mappings = sorted(kernel.mappings())
        expect(mappings == ([f"luks-{self.id}"] if is_open else []), f"mappings: {mappings}")
        wanted = [self.driver.staging(self.id)] if is_open and not self.block else []
        wanted += [self.driver.target(self.id)] if state == "published" else []
        mounts = sorted(mount[0] for mount in mounts_below(self.driver.kubelet))
        expect(mounts == sorted(wanted), f"mounts: {mounts}, expected {sorted(wanted)}")
        expect(state == "published" or not os.path.lexists(self.driver.target(self.id)),
               "the target path is still there")
        expect(not kernel.children(self.driver.process.pid), "a worker is still there")

    def check_files(self, state):
        halves = [path for folder in ("data", "state")
                  for path in glob.glob(f"{self.driver.base}/{folder}/**/.*", recursive=True)]
        expect(not halves, f"half files: {halves}")
        if state == "absent":
            left = glob.glob(f"{self.driver.data}/*") + glob.glob(self.store_record())
            expect(not left, f"left: {left}")
            return
        beside, stored = self.record(), self.record(self.store_record())
        expect(beside == stored or self.copy_may_lag, f"the store's record differs: {beside} {stored}")
        wanted = "reserved" if state == "reserved" else "formatted"
        expect(beside["state"] == wanted, f"the record says {beside['state']}")
        size = os.path.getsize(self.driver.image(self.id))
        expect(size == self.size + 16 * MIB, f"the image has {size} bytes, not {self.size} + 16 MiB")
        if state != "reserved":
            luks = luks_uuids(self.driver.image(self.id))
            expect(luks == {beside["luksUUID"]}, f"the headers have {luks}, not the record's UUID")

    def check_content(self, state, had_data):
        now = self.uuids_now()
        if not had_data:
            expect(self.block or now[1] == self.record()["fsUUID"], "not the record's fs UUID")
            self.write_data()
            self.uuids = now
        else:
            expect(now == self.uuids, f"formatted again: {self.uuids} became {now}")
        with open(self.data_path(state == "published"), "rb") as content:
            found = hashlib.sha256(content.read(len(DATA))).hexdigest()
        expect(found == hashlib.sha256(DATA).hexdigest(), "the data are not what was written")

    def check_keys(self):
        """After a change of the passphrase: one keyslot, and the backup of it."""
        if self.record()["keyChanging"]:  # an error on the way: the volume is open, the next stage goes on
            self.unstage()
            self.rotate()
        expect(not self.record()["keyChanging"], "the record says that the change goes on")
        slots = re.findall(r"^  \d+: luks2", kernel.luks_dump(self.driver.image(self.id)), re.M)
        expect(len(slots) == 1, f"{len(slots)} keyslots are left")
        backup = f"{self.folder()}/luks-header.backup"
        size = os.path.getsize(backup)
        expect(read_at(backup, 0, size) == read_at(self.driver.image(self.id), 0, size),
               "the header backup is not the header")

    def check_grown(self):
        """After NodeExpandVolume: the mapping and the file system have the new size."""
        device = os.open(device_of(f"luks-{self.id}"), os.O_RDONLY)
        size = os.lseek(device, 0, os.SEEK_END)
        os.close(device)
        expect(size == self.size, f"the mapping has {size} bytes, not {self.size}")
        if not self.block:
            st = os.statvfs(self.driver.target(self.id))
            expect(st.f_blocks * st.f_frsize >= 0.75 * self.size, "the file system did not grow")


# ---------------------------------------------------------------- operations

@dataclasses.dataclass(frozen=True)
class Operation:
    """From state `start`, `call` leads to state `end`."""
    name: str
    start: str
    call: str
    end: str
    grows: bool = False

    def prepare(self, volume):
        if self.grows and volume.size > volume.first_size + 24 * volume.step:
            volume.go("absent")
        volume.go(self.start)
        if self.grows:
            volume.size += volume.step
        if self.name == "node-expand":
            volume.expand()
        if self.name == "rotate":
            volume.change_secret()

    def run(self, volume):
        getattr(volume, self.call)()

    def check(self, volume):
        volume.check(self.end, had_data=self.start not in ("absent", "reserved"))
        if self.name == "node-expand":
            volume.check_grown()
        if self.name == "rotate":
            volume.check_keys()


OPERATIONS = [
    Operation("create", "absent", "create", "reserved"),
    Operation("first-stage", "reserved", "stage", "staged"),
    Operation("stage-again", "unstaged", "stage", "staged"),
    Operation("rotate", "unstaged", "rotate", "staged"),
    Operation("publish", "staged", "publish", "published"),
    Operation("controller-expand", "unstaged", "expand", "unstaged", True),
    Operation("node-expand", "published", "node_expand", "published", True),
    Operation("unpublish", "published", "unpublish", "staged"),
    Operation("unstage", "staged", "unstage", "unstaged"),
    Operation("delete", "unstaged", "delete", "absent"),
    Operation("delete-unused", "reserved", "delete", "absent"),
]
