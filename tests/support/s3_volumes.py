"""Volumes in S3 on a real kernel: a driver with rclone, an S3 server, and what a test does with a volume."""
import os
import signal
import time

import kernel
import pytest
from driver import mount_capability
from fixtures import folder, running_driver
from s3 import Server

import csi_pb2 as csi

OPTIONS = [f"--rclone={os.environ['LCW_RCLONE']}"]
MARKER = "the quick brown fox is a secret"


@pytest.fixture
def server():
    with folder() as base:
        one = Server(base).start()
        yield one
        one.stop()


def sweep(driver):
    """What a test that failed left behind, so that the next one does not fail of it."""
    left = [mount[0] for mount in kernel.mounts() if mount[0].startswith(f"{driver.base}/")]
    for path in reversed(left):
        kernel.run("umount", "-l", path, check=False)
    for victim in rclones(driver) if left else []:
        os.kill(victim, signal.SIGKILL)
    if left and "luks-pvc-1" in kernel.mappings():
        time.sleep(1)
        kernel.run("cryptsetup", "close", "luks-pvc-1", check=False)
    for victim in processes(driver, "mounter") if left else []:
        os.kill(victim, signal.SIGKILL)
    return left


@pytest.fixture
def driver():
    with folder() as base, running_driver(base, options=OPTIONS) as one:
        yield one
        left = sweep(one)
    assert left == [], left


def create(driver, server, name="pvc-1", **parameters):
    return driver.controller.CreateVolume(csi.CreateVolumeRequest(
        name=name, parameters=server.parameters(**parameters), secrets=server.secrets(),
        volume_capabilities=[mount_capability()],
        capacity_range=csi.CapacityRange(required_bytes=1 << 30)), timeout=120).volume


def delete(driver, server, volume_id):
    driver.controller.DeleteVolume(csi.DeleteVolumeRequest(
        volume_id=volume_id, secrets=server.secrets()), timeout=120)


def open_it(driver, server, volume, **options):
    driver.stage(volume, secrets=server.secrets(), **options)
    return driver.publish(volume)


def close_it(driver, volume):
    driver.unpublish(volume.volume_id)
    driver.unstage(volume.volume_id)


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())


def read(path):
    with open(path, encoding="utf-8") as content:
        return content.read()


def condition(driver, volume):
    answer = driver.controller.ControllerGetVolume(
        csi.ControllerGetVolumeRequest(volume_id=volume.volume_id), timeout=60)
    return answer.status.volume_condition


def processes(driver, command):
    """Processes with this word that serve volumes of this driver."""
    return kernel.serving(command, driver.base)


def rclones(driver):
    return processes(driver, "mount2")


def lcw_command(driver, *words):
    return [os.path.join(os.environ["LCW_BUILD"], "lcw"), "volume", *words, f"--state-dir={driver.base}/state",
            f"--run-dir={driver.base}/run", f"--node-id={driver.node}"]


def lcw(driver, *words, check=True):
    return kernel.run(*lcw_command(driver, *words), check=check)
