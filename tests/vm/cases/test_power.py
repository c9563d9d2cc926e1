# time limit: 400
"""What a power cut leaves, made by hand at the moment that matters (tests/torture/powercut cuts at
random ones)."""
import fcntl
import os
import struct

import kernel
from driver import mount_capability

MI = 1 << 20
XFS_GOING_DOWN = 0x8004587d  # XFS_IOC_GOINGDOWN
WITH_ITS_LOG = 1  # XFS_FSOP_GOING_FLAGS_LOGFLUSH: what is logged is on the disk, all else is lost


def cut_off(path):
    """The xfs is as after a power cut right now."""
    root = os.open(path, os.O_RDONLY)
    fcntl.ioctl(root, XFS_GOING_DOWN, struct.pack("I", WITH_ITS_LOG))
    os.close(root)


def fill(path, count):
    with open(path, "wb") as out:
        for _ in range(count):
            out.write(os.urandom(MI))
        os.fsync(out.fileno())


def test_an_xfs_that_grew_in_its_log_only_can_be_written_and_grows_further(driver):
    """Kernels before 6.12 go on with the old size of its last group after replaying such a log."""
    kernel.run("modprobe", "xfs")
    # Nothing but unmounting writes the superblock back.
    with open("/proc/sys/fs/xfs/xfssyncd_centisecs", "w", encoding="ascii") as setting:
        setting.write("720000")
    capability = mount_capability("xfs")
    volume = driver.create("pvc-grow", 304 * MI, capability, fsType="xfs")
    staging = driver.staging("pvc-grow")
    driver.stage(volume, capability)
    driver.expand("pvc-grow", 320 * MI)
    driver.node_expand("pvc-grow", staging)  # a group of its own
    driver.unstage("pvc-grow")
    driver.stage(volume, capability)
    driver.expand("pvc-grow", 336 * MI)
    driver.node_expand("pvc-grow", staging)  # the last group became larger
    cut_off(staging)
    driver.unstage("pvc-grow")

    driver.stage(volume, capability)
    assert "its log held a growth of the xfs" in driver.read_log()
    driver.expand("pvc-grow", 352 * MI)
    driver.node_expand("pvc-grow", staging)
    fill(f"{staging}/file", 256)
    found = os.statvfs(staging)
    assert found.f_blocks * found.f_frsize > 280 * MI  # without its log
    driver.unstage("pvc-grow")
    driver.stage(volume, capability)
    assert os.path.getsize(f"{staging}/file") == 256 * MI
    assert driver.read_log().count("its log held a growth of the xfs") == 1
    driver.unstage("pvc-grow")
    driver.delete("pvc-grow")
