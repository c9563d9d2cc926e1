"""The whole life of a volume, for each file system and for raw block."""
import os

import kernel
import pytest
from driver import FAST, block_capability, mount_capability, until

MARKER = "PLAINTEXT-MARKER-3f1c9a"
SIZES = {"ext4": 32 << 20, "ext3": 32 << 20, "xfs": 304 << 20}


def assert_ciphertext(image):
    with open(image, "rb") as content:
        assert MARKER.encode() not in content.read()


@pytest.mark.parametrize("fs", SIZES)
def test_file_system_volume(driver, refused, fs):
    capability = mount_capability(fs)
    volume = driver.create("pvc-life", SIZES[fs], capability)
    image = driver.image("pvc-life")
    assert os.path.getsize(image) == volume.capacity_bytes + (16 << 20)
    driver.stage(volume, capability)
    target = driver.publish(volume, capability)
    assert kernel.mount_at(target)[2] == fs
    with open(f"{target}/file", "w", encoding="ascii") as out:
        out.write(MARKER)
        out.flush()
        os.fsync(out.fileno())
    kernel.run("sync")
    assert_ciphertext(image)
    uuid = kernel.luks_uuid(image)
    assert kernel.mappings()["luks-pvc-life"].replace("-", "").find(uuid.replace("-", "")) > 0

    before = os.statvfs(target)
    driver.expand("pvc-life", 2 * SIZES[fs])
    assert driver.node_expand("pvc-life", target).capacity_bytes == 2 * SIZES[fs]
    after = os.statvfs(target)
    assert after.f_blocks * after.f_frsize > 1.7 * before.f_blocks * before.f_frsize

    usage = {item.unit: item for item in driver.stats("pvc-life", target).usage}
    assert usage[1].total == after.f_blocks * after.f_frsize and usage[2].total == after.f_files
    with refused("FAILED_PRECONDITION", "staged"):
        driver.delete("pvc-life")
    with refused("FAILED_PRECONDITION", target):
        driver.unstage("pvc-life")
    driver.unpublish("pvc-life")
    assert not os.path.exists(target)
    driver.unstage("pvc-life")
    assert "luks-pvc-life" not in kernel.mappings()

    driver.stage(volume, capability)
    with open(f"{driver.staging('pvc-life')}/file", encoding="ascii") as content:
        assert content.read() == MARKER
    assert kernel.luks_uuid(image) == uuid
    driver.unstage("pvc-life")
    driver.delete("pvc-life")
    assert os.listdir(driver.data) == [] and os.listdir(f"{driver.base}/state/volumes") == []


def test_raw_block_volume(driver, refused):
    capability = block_capability()
    volume = driver.create("pvc-block", 32 << 20, capability)
    driver.stage(volume, capability)
    target = driver.publish(volume, capability)
    device = os.open(target, os.O_RDWR)
    assert os.lseek(device, 0, os.SEEK_END) == 32 << 20
    os.pwrite(device, MARKER.encode(), 4096)
    os.fsync(device)
    assert_ciphertext(driver.image("pvc-block"))
    driver.expand("pvc-block", 64 << 20)
    assert driver.node_expand("pvc-block", target).capacity_bytes == 64 << 20
    assert os.lseek(device, 0, os.SEEK_END) == 64 << 20
    os.close(device)
    assert driver.stats("pvc-block", target).usage[0].total == 64 << 20
    with refused("INVALID_ARGUMENT", "raw block"):
        driver.publish(volume, mount_capability(), number=1)
    driver.unpublish("pvc-block")
    driver.publish(volume, capability, readonly=True)
    with pytest.raises(OSError), open(target, "r+b", buffering=0) as device:
        device.write(b"x")
    driver.unpublish("pvc-block")
    driver.unstage("pvc-block")
    driver.stage(volume, capability)
    driver.publish(volume, capability)
    with open(target, "rb") as content:
        content.seek(4096)
        assert content.read(len(MARKER)) == MARKER.encode()
    driver.unpublish("pvc-block")
    driver.unstage("pvc-block")
    driver.delete("pvc-block")


def test_defaults_are_those_of_the_documents(driver):
    volume = driver.create_raw("pvc-default", {"local-path": driver.data}, 32 << 20)
    driver.stage(volume)
    dump = kernel.luks_dump(driver.image("pvc-default"))
    for words in ("Version:       \t2", "aes-xts-plain64", "512 bits", "argon2id", "Memory:     65536",
                  "Threads:    1", "Time cost:  4", "sector: 4096"):
        assert words in dump, f"{words!r} is not in\n{dump}"
    (loop,) = [row for row in kernel.loops().values() if row["back-file"].startswith(driver.data)]
    assert loop["dio"] and loop["autoclear"] and loop["log-sec"] == 4096
    driver.unstage("pvc-default")
    driver.delete("pvc-default")


def test_u20_a_volume_that_is_not_staged_grows_at_its_next_stage(driver):
    volume = driver.create("pvc-later", 32 << 20)
    driver.stage(volume)
    driver.unstage("pvc-later")
    assert driver.expand("pvc-later", 64 << 20).node_expansion_required
    driver.stage(volume)
    size = os.statvfs(driver.staging("pvc-later"))
    assert size.f_blocks * size.f_frsize > 50 << 20
    driver.unstage("pvc-later")
    driver.delete("pvc-later")


def test_cryptsetup_opens_what_the_driver_made(driver):
    volume = driver.create("pvc-cli")
    driver.stage(volume)
    with open(f"{driver.staging('pvc-cli')}/f", "w", encoding="ascii") as out:
        out.write("from the driver")
    driver.unstage("pvc-cli")
    kernel.run("cryptsetup", "open", "--type", "luks", "--key-file", "-", driver.image("pvc-cli"),
               "by-hand", input="correct horse")
    try:
        kernel.run("mount", "/dev/mapper/by-hand", driver.staging("pvc-cli"))
        with open(f"{driver.staging('pvc-cli')}/f", encoding="ascii") as content:
            assert content.read() == "from the driver"
        kernel.run("umount", driver.staging("pvc-cli"))
    finally:
        kernel.run("cryptsetup", "close", "by-hand")
    driver.delete("pvc-cli")


def make_go_volume(driver, name, fs="ext4", size=64 << 20):
    """As the Go driver lays it out: an image with a LUKS header in it, and no record."""
    os.makedirs(f"{driver.data}/{name}")
    image = driver.image(name)
    with open(image, "wb") as out:
        out.truncate(size)
    kernel.run("cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--pbkdf", "pbkdf2",
               "--pbkdf-force-iterations", "1000", "--key-file", "-", image, input="correct horse")
    kernel.run("cryptsetup", "open", "--key-file", "-", image, "go", input="correct horse")
    kernel.run(f"mkfs.{fs}", "-q", "/dev/mapper/go")
    kernel.run("cryptsetup", "close", "go")
    return image


class Foreign:
    """What kubelet hands over for a volume of the Go driver: the class's parameters, and its size beside them."""

    def __init__(self, driver, name):
        self.volume_id = name
        self.volume_context = {"local-path": driver.data, "capacity": str(64 << 20), **FAST}


def test_volumes_of_the_go_driver_are_adopted(driver, refused, unchanged):
    image = make_go_volume(driver, "go-1")
    volume = Foreign(driver, "go-1")
    with unchanged(image), refused("FAILED_PRECONDITION", "passphrase does not open volume 'go-1'"):
        driver.stage(volume, secrets={"passphrase": "wrong"})
    assert not os.path.exists(driver.record("go-1"))
    uuid = kernel.luks_uuid(image)
    driver.stage(volume)
    target = driver.publish(volume)
    with open(f"{target}/f", "w", encoding="ascii") as out:
        out.write("kept")
    driver.unpublish("go-1")
    driver.unstage("go-1")
    driver.expand("go-1", 96 << 20)
    driver.stage(volume)
    with open(f"{driver.staging('go-1')}/f", encoding="ascii") as content:
        assert content.read() == "kept"
    assert kernel.luks_uuid(image) == uuid
    driver.unstage("go-1")
    driver.delete("go-1")
    assert os.listdir(driver.data) == []


def test_what_the_class_said_counts_after_lcw_node_adopt(driver, refused):
    """lcw sees images only; passphraseKey, fsGroup and the file system come with the PersistentVolume."""
    make_go_volume(driver, "go-2", "xfs", 320 << 20)
    kernel.run(os.path.join(os.environ["LCW_BUILD"], "lcw"), "node", "adopt", f"--local-path={driver.data}",
               f"--state-dir={driver.base}/state", f"--run-dir={driver.base}/run", f"--node-id={driver.node}",
               "--passphrase-fd=0", input="correct horse")
    volume = Foreign(driver, "go-2")
    volume.volume_context.update({"passphraseKey": "encryption-key", "fsGroup": "26"})
    secrets, xfs = {"encryption-key": "correct horse"}, mount_capability("xfs", group="1000")
    with refused("INVALID_ARGUMENT", "'xfs'", "'ext3'"):
        driver.stage(volume, mount_capability("ext3"), secrets=secrets)
    assert "luks-go-2" not in kernel.mappings()
    driver.stage(volume, xfs, secrets=secrets)
    assert kernel.mount_at(driver.publish(volume, xfs))[2] == "xfs"
    assert os.stat(driver.staging("go-2")).st_gid == 26
    driver.unpublish("go-2")
    driver.unstage("go-2")
    driver.stage(volume, xfs, secrets=secrets, context={})  # it was written down
    assert os.stat(driver.staging("go-2")).st_gid == 26
    driver.unstage("go-2")
    driver.delete("go-2")


def test_an_empty_volume_is_an_empty_folder(driver):
    """initdb and mysqld refuse one that has a lost+found. What is in a volume in use is the pod's."""
    volume = driver.create("pvc-1")
    driver.stage(volume)
    root = driver.staging("pvc-1")
    assert os.listdir(root) == []
    os.mkdir(f"{root}/lost+found")
    for keep in ("file", "lost+found/file"):
        open(f"{root}/{keep}", "w", encoding="ascii").close()
        driver.unstage("pvc-1")
        driver.stage(volume)
        assert os.path.exists(f"{root}/{keep}") and os.path.isdir(f"{root}/lost+found")
        os.unlink(f"{root}/{keep}")
    driver.unstage("pvc-1")
    driver.delete("pvc-1")


def test_u01_an_image_without_luks_header_is_not_adopted(driver, refused, unchanged):
    os.makedirs(f"{driver.data}/go-2")
    image = driver.image("go-2")
    with open(image, "wb") as out:
        out.truncate(64 << 20)
    with unchanged(image), refused("FAILED_PRECONDITION", "no LUKS header"):
        driver.stage(Foreign(driver, "go-2"))
    kernel.run("mkfs.ext4", "-q", "-F", image)
    with unchanged(image), refused("FAILED_PRECONDITION", "no LUKS header"):
        driver.stage(Foreign(driver, "go-2"))


def test_the_slow_steps_are_measured(served):
    volume = served.create("pvc-steps", **FAST)
    served.stage(volume)
    served.unstage("pvc-steps")
    served.stage(volume)

    def counts():
        return [served.metric("step_duration_seconds_count", step=step)
                for step in ("luks_format", "luks_open", "fs_make", "fs_check")]
    until("the steps of both stages are counted", lambda: counts() == [1, 2, 1, 1], 10)
    assert served.metric("step_duration_seconds_sum", step="luks_open") > 0
    until("the volume is seen", lambda: served.metric("volumes", backend="local", state="formatted"))
    assert served.metric("volumes_abnormal", backend="local") == 0
    served.unstage("pvc-steps")
    served.delete("pvc-steps")
