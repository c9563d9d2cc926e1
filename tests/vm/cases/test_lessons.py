# time limit: 300
"""Failures of other drivers (the numbers are those of the lessons they taught) that no other case
already has: what happened there must not happen here."""
import json
import os
import re
import shutil
import threading
import time

import csi_pb2 as csi
import grpc
import kernel
import pytest
from disk import Disk
from driver import Driver, block_capability, until
from fixtures import tree

MI = 1 << 20
ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))


def formatted(driver, name, **parameters):
    """A closed volume with a file in it."""
    volume = driver.create(name, **parameters)
    driver.stage(volume)
    with open(f"{driver.staging(name)}/precious", "w", encoding="ascii") as out:
        out.write("precious")
    driver.unstage(name)
    return volume


def check_precious(driver, volume):
    driver.stage(volume)
    with open(f"{driver.staging(volume.volume_id)}/precious", encoding="ascii") as content:
        assert content.read() == "precious"
    driver.unstage(volume.volume_id)


def test_u03_what_nobody_knows_is_not_deleted(driver):
    """Garbage collection that took "no record of it" for "may go"."""
    volume = formatted(driver, "pvc-unknown")
    os.makedirs(f"{driver.data}/pvc-foreign")
    for name in ("luks-pvc-foreign.img", "notes.txt"):
        with open(f"{driver.data}/pvc-foreign/{name}", "w", encoding="ascii") as out:
            out.write("somebody's")
    driver.stop()
    shutil.rmtree(f"{driver.base}/state")  # etcd restored from nothing
    before = tree(driver.data)
    driver.start()
    driver.create("pvc-other")
    driver.delete("pvc-other")
    driver.delete("pvc-never-was")
    driver.restart()
    time.sleep(1)
    assert tree(driver.data) == before
    check_precious(driver, volume)
    driver.delete("pvc-unknown")
    assert os.path.exists(f"{driver.data}/pvc-foreign/notes.txt")


def test_u04_only_delete_removes_an_image(driver):
    """Unstage confused with delete."""
    volume = formatted(driver, "pvc-stays")
    inode = os.stat(driver.image("pvc-stays")).st_ino
    driver.stage(volume)
    driver.publish(volume)
    driver.unpublish("pvc-stays")
    driver.unstage("pvc-stays")
    for _ in range(2):
        driver.unpublish("pvc-stays")
        driver.unstage("pvc-stays")
        driver.restart()
    found = os.stat(driver.image("pvc-stays"))
    assert (found.st_ino, found.st_nlink) == (inode, 1)
    driver.delete("pvc-stays")
    assert not os.path.exists(driver.image("pvc-stays"))


def test_u04_the_code_unlinks_images_in_one_place():
    """An image is unlinked in image_unlink(), and that is called by creating and deleting only."""
    calls = {}
    # Those of the C library, and not the members of our tables that have such a name.
    call = re.compile(r"(?<!->)(?<!\.)\b(unlink|rmdir|remove|nftw|image_unlink)\s*\(")
    for folder, _, names in os.walk(f"{ROOT}/src"):
        for name in names:
            with open(f"{folder}/{name}", encoding="utf-8") as text:
                for function in call.findall(text.read()):
                    calls.setdefault(function, set()).add(os.path.relpath(f"{folder}/{name}", f"{ROOT}/src"))
    assert not {"rmdir", "remove", "nftw"} & set(calls), calls
    assert {path for path in calls["image_unlink"] if path.endswith(".c")} <= {
        "sys/image.c", "engine/local_create.c", "engine/local_delete.c"}, calls


def test_u05_nothing_is_deleted_through_a_mount(driver, refused):
    """A recursive delete that crossed a live mount."""
    formatted(driver, "pvc-tree")
    precious = f"{driver.base}/elsewhere"
    os.mkdir(precious)
    with open(f"{precious}/file", "w", encoding="ascii") as out:
        out.write("not ours")
    inside = f"{driver.data}/pvc-tree/inside"
    os.mkdir(inside)
    kernel.run("mount", "--bind", precious, inside)
    try:
        driver.delete("pvc-tree")
        assert os.listdir(precious) == ["file"]
        assert not os.path.exists(driver.image("pvc-tree"))
    finally:
        kernel.run("umount", inside)
    shutil.rmtree(f"{driver.data}/pvc-tree")

    # A target that is no mount of the volume but a folder with somebody's files.
    target = driver.target("pvc-tree")
    os.mkdir(target)
    with open(f"{target}/file", "w", encoding="ascii") as out:
        out.write("not ours")
    with refused("INTERNAL|FAILED_PRECONDITION", "."):
        driver.unpublish("pvc-tree")
    assert os.listdir(target) == ["file"]


class Limited(Driver):
    """A driver whose processes together have so much memory, as in a container."""

    limit = 0

    def command(self):
        return ["sh", "-c", f"echo $$ > {self.group}/cgroup.procs; exec \"$@\"", "sh", *super().command()]

    @property
    def group(self):
        return "/sys/fs/cgroup/lcw-u16"


@pytest.fixture
def limited(driver):
    """192 MiB: two key derivations of 64 MiB and the rest fit, four do not."""
    with open("/sys/fs/cgroup/cgroup.subtree_control", "w", encoding="ascii") as control:
        control.write("+memory")
    one = Limited(f"{driver.base}/limited", driver.binary)
    os.makedirs(one.group, exist_ok=True)
    for name, value in (("memory.max", 192 * MI), ("memory.swap.max", 0)):
        if os.path.exists(f"{one.group}/{name}"):
            with open(f"{one.group}/{name}", "w", encoding="ascii") as out:
                out.write(str(value))
    one.start()
    yield one
    assert one.stop() == 0
    os.rmdir(one.group)


def test_u16_many_volumes_open_at_once_in_little_memory(limited):
    """After a reboot every volume of a node is opened at once, each with argon2's memory."""
    names = [f"pvc-kdf{number}" for number in range(6)]
    kdf = {"luks_pbkdf": "argon2id", "luks_pbkdf_memory": "64Mi", "luks_pbkdf_iterations": "4"}
    volumes = [limited.create(name, 20 * MI, block_capability(), **kdf) for name in names]
    errors = []

    def stage(volume):
        try:
            limited.stage(volume, block_capability())
        except grpc.RpcError as error:
            errors.append(error.details())
    threads = [threading.Thread(target=stage, args=(volume,)) for volume in volumes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open(f"{limited.group}/memory.events", encoding="ascii") as text:
        events = dict(line.split() for line in text)
    assert not errors, errors
    assert events["oom_kill"] == "0", events
    for name in names:
        limited.unstage(name)
        limited.delete(name)


@pytest.fixture
def silent_udev():
    """libudev takes this file for a udevd that runs; nobody answers."""
    control = "/run/udev/control"
    made = not os.path.exists(control)
    if made:
        os.makedirs(os.path.dirname(control), exist_ok=True)
        open(control, "w", encoding="ascii").close()
    yield
    if made:
        os.unlink(control)


def test_u17_no_udev_cookie_is_waited_for(driver, silent_udev):
    """libdevmapper waited for a udev of another IPC namespace."""
    def semaphores():
        with open("/proc/sysvipc/sem", encoding="ascii") as text:
            return text.read()
    before = semaphores()
    old = os.environ.pop("DM_DISABLE_UDEV", None)
    try:
        driver.restart()  # the image of a container does not set it either
        volume = driver.create("pvc-udev")
        driver.stage(volume, timeout=60)
        assert os.path.exists("/dev/mapper/luks-pvc-udev") or kernel.mappings()["luks-pvc-udev"]
        driver.unstage("pvc-udev")
        assert semaphores() == before
        driver.delete("pvc-udev")
    finally:
        if old is not None:
            os.environ["DM_DISABLE_UDEV"] = old


def test_u19_no_loop_device_and_no_block_is_leaked(driver, refused):
    """Loop devices that stay, and deleted files that keep their space."""
    def free():
        os.sync()
        found = os.statvfs(driver.base)
        return found.f_bfree * found.f_frsize

    def ours():
        return [name for name, row in kernel.loops().items() if row["back-file"].startswith(driver.data)]
    driver.create("pvc-first")  # what the folder itself takes
    driver.delete("pvc-first")
    before = free()
    volume = formatted(driver, "pvc-loop", size=64 * MI)
    for _ in range(3):
        with refused("FAILED_PRECONDITION", "passphrase"):
            driver.stage(volume, secrets={"passphrase": "wrong"})
        assert ours() == []
        driver.stage(volume)
        assert len(ours()) == 1
        driver.restart()
        driver.stage(volume)
        assert len(ours()) == 1
        driver.unstage("pvc-loop")
        until("the loop device goes", lambda: ours() == [], 5)
    driver.delete("pvc-loop")
    until("the space comes back", lambda: free() >= before - MI, 20)


def device_bytes(path):
    return int(kernel.run("blockdev", "--getsize64", path))


@pytest.mark.parametrize("half", ["image", "loop", "mapping"])
def test_u20_expansion_goes_on_from_any_half(driver, half):
    """A chain that broke off after one of its parts and was then taken for done."""
    volume = driver.create("pvc-half")
    driver.stage(volume)
    target = driver.publish(volume)
    driver.expand("pvc-half", 64 * MI)
    (loop,) = [name for name, row in kernel.loops().items() if row["back-file"].startswith(driver.data)]
    if half != "image":
        kernel.run("losetup", "-c", loop)
    if half == "mapping":
        kernel.run("cryptsetup", "resize", "--key-file", "-", "luks-pvc-half", input="correct horse")
    driver.restart()  # nothing of it is in anybody's memory or keyring
    for _ in range(2):
        assert driver.node_expand("pvc-half", target).capacity_bytes == 64 * MI
    assert device_bytes(loop) == 80 * MI
    assert device_bytes("/dev/mapper/luks-pvc-half") == 64 * MI
    found = os.statvfs(target)
    assert found.f_blocks * found.f_frsize > 50 * MI
    driver.unpublish("pvc-half")
    driver.unstage("pvc-half")
    driver.delete("pvc-half")


def test_u25_a_node_that_came_back_with_an_empty_disk(driver, refused):
    """The node was made anew under its old name: its volumes must not be made anew with it."""
    volume = formatted(driver, "pvc-away")
    os.rename(driver.data, f"{driver.data}.away")
    os.mkdir(driver.data)
    with refused("NOT_FOUND|FAILED_PRECONDITION", "pvc-away"):
        driver.stage(volume)
    with refused("FAILED_PRECONDITION", "cannot be found"):
        driver.create("pvc-away")
    condition = driver.controller.ControllerGetVolume(
        csi.ControllerGetVolumeRequest(volume_id="pvc-away"), timeout=60).status.volume_condition
    assert condition.abnormal and "missing" in condition.message
    assert os.listdir(driver.data) == []
    os.rmdir(driver.data)
    os.rename(f"{driver.data}.away", driver.data)
    check_precious(driver, volume)
    driver.delete("pvc-away")


def test_u25_a_disk_that_is_not_mounted_gets_no_new_volumes(driver, refused):
    """What is made in the empty folder of its mount point is beneath the disk when that comes."""
    with Disk(driver.base, "lcw-late", 256 * MI) as disk:
        place, mount_point, disks = f"{disk.path}/data", f"was mounted at '{disk.path}'", f"{driver.base}/state/disks.json"
        room = csi.GetCapacityRequest(parameters={"local-path": place})

        def free():
            return driver.controller.GetCapacity(room, timeout=60).available_capacity

        kernel.run("umount", disk.path)
        beneath = formatted(driver, "pvc-beneath", local_path=place)  # nobody could know
        disk.mount()
        volume = formatted(driver, "pvc-on-disk", local_path=place)
        assert free() > 0
        kernel.run("umount", disk.path)
        check_precious(driver, beneath)
        assert driver.create("pvc-beneath", local_path=place).volume_id == "pvc-beneath"
        with refused("RESOURCE_EXHAUSTED", mount_point, "mount it"):
            driver.create("pvc-late", local_path=place)
        assert free() == 0 and os.listdir(place) == ["pvc-beneath"]
        driver.create("pvc-elsewhere")
        # The power failed while this one was made, and the disk is slower than the driver.
        driver.stop()
        rewrite(f"{driver.base}/state/volumes/pvc-elsewhere.json", "pvc-elsewhere", "pvc-begun", driver.data, place)
        driver.start()
        with refused("UNAVAILABLE", mount_point):
            driver.create("pvc-begun", local_path=place)
        assert os.listdir(place) == ["pvc-beneath"]

        disk.mount()
        for name in ("pvc-late", "pvc-begun"):
            driver.create(name, local_path=place)
        check_precious(driver, volume)
        for name in ("pvc-late", "pvc-begun", "pvc-on-disk", "pvc-elsewhere"):
            driver.delete(name)
        kernel.run("umount", disk.path)
        os.unlink(disks)  # the disk is given up
        driver.create("pvc-after", local_path=place)
        for name in ("pvc-after", "pvc-beneath"):
            driver.delete(name)
        disk.mount()


def rewrite(source, old_id, new_id, old_place, new_place):
    """A record of a volume that was announced and not made yet, after that of another one."""
    with open(source, encoding="utf-8") as text:
        record = json.load(text)
    assert record["volumeId"] == old_id
    text = json.dumps({**record, "state": "creating"}).replace(old_id, new_id).replace(old_place, new_place)
    with open(source.replace(old_id, new_id), "w", encoding="utf-8") as out:
        out.write(text)


def test_u25_another_node_neither_opens_nor_changes_what_is_not_its_own(driver, refused):
    volume = formatted(driver, "pvc-theirs")
    driver.stop()
    driver.node = "node-b"
    driver.start()
    with refused("FAILED_PRECONDITION", "node-a"):
        driver.stage(volume)
    assert "luks-pvc-theirs" not in kernel.mappings()
    driver.stop()
    driver.node = "node-a"
    driver.start()
    check_precious(driver, volume)
    driver.delete("pvc-theirs")
