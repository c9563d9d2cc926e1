"""Volumes in S3 on a real kernel: dm-crypt cache, real rclone, real S3 server.

Loopback only. What needs no device-mapper is in tests/s3.
"""
# time limit: 1800
import glob
import json
import os
import signal
import subprocess
import sys
import time

import grpc
import kernel
import pytest
from driver import MODES, mount_capability, until
from faulty import Faulty
from s3 import Cli, Server, leaks

import csi_pb2 as csi
from fixtures import folder, running_driver

OPTIONS = [f"--rclone={os.environ['LCW_RCLONE']}"]
MOUNTER_USER = 47710  # src/mounter/confine.h
MARKER = "the quick brown fox is a secret"
WRITER = """
import os, sys, time
out = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
count = 0
while not os.path.exists(sys.argv[2]):
    os.write(out, b"line\\n"); os.fsync(out); count += 1; time.sleep(0.02)
os.close(out)
print(count)
"""


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
    assert left == []


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


def test_the_whole_life_of_a_volume(driver, server, refused):
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    assert "luks-pvc-1" in kernel.mappings()
    assert kernel.mount_at(target)[2] == "fuse.rclone"
    assert os.listdir(target) == []
    write(f"{target}/a-readable-name", MARKER)
    os.makedirs(f"{target}/folder/deeper")
    with open(f"{target}/folder/deeper/large", "wb") as out:
        out.write(os.urandom(1 << 20) * 12)
    kernel.run("sync")
    with open(f"{driver.base}/state/cache/pvc-1/luks-pvc-1.img", "rb") as content:
        assert MARKER.encode() not in content.read()
    close_it(driver, volume)
    assert "luks-pvc-1" not in kernel.mappings()
    assert glob.glob(f"{driver.base}/state/cache/*") == []

    # In the bucket: nothing that can be read. With rclone alone: everything.
    assert server.objects("volumes/pvc-1/files/")
    assert not server.holds(MARKER)
    assert not [key for key in server.objects() if "readable" in key or "lukscryptwalker" in key]
    cli = Cli(server, "volumes/pvc-1/files", "pvc-1")
    assert cli.read("a-readable-name") == MARKER
    assert "folder/deeper/large" in cli.names()
    cli.write("from-outside", "written by the CLI")

    # A wrong passphrase never shows an empty volume.
    with refused("FAILED_PRECONDITION", "passphrase does not open the data"):
        driver.stage(volume, secrets=server.secrets(passphrase="another"))
    assert kernel.mount_at(driver.staging("pvc-1")) is None
    assert rclones(driver) == []

    target = open_it(driver, server, volume)
    assert read(f"{target}/a-readable-name") == MARKER
    assert os.path.getsize(f"{target}/folder/deeper/large") == 12 << 20
    assert read(f"{target}/from-outside") == "written by the CLI"
    assert sorted(os.listdir(target)) == ["a-readable-name", "folder", "from-outside"]
    close_it(driver, volume)
    delete(driver, server, volume.volume_id)
    assert server.objects() == []
    assert glob.glob(f"{driver.base}/state/cache/*") == []


def test_a_killed_driver_does_not_hurt_a_writer(driver, server):
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    stop = f"{driver.base}/stop"
    with subprocess.Popen([sys.executable, "-c", WRITER, f"{target}/log", stop],
                          stdout=subprocess.PIPE, text=True) as writer:
        until("the writer writes", lambda: os.path.exists(f"{target}/log"))
        driver.kill()
        during = os.path.getsize(f"{target}/log")
        until("the writer goes on", lambda: os.path.getsize(f"{target}/log") > during)
        driver.start()
        write(stop, "")
        output = writer.communicate(timeout=60)[0]
    assert writer.returncode == 0
    assert os.path.getsize(f"{target}/log") == 5 * int(output)
    close_it(driver, volume)
    assert len(Cli(server, "volumes/pvc-1/files", "pvc-1").read("log")) == 5 * int(output)


def test_a_killed_rclone_is_told_and_nothing_synced_is_lost(driver, server):
    volume = create(driver, server, rclone_vfs_write_back="1h")
    target = open_it(driver, server, volume)
    write(f"{target}/synced", MARKER)
    assert not condition(driver, volume).abnormal
    victim, = rclones(driver)
    os.kill(victim, signal.SIGKILL)
    until("the condition says so", lambda: condition(driver, volume).abnormal)
    assert "rclone" in condition(driver, volume).message
    with pytest.raises(OSError):
        os.listdir(target)
    # The same pod's volume, staged again: same cache, published path bound anew.
    driver.stage(volume, secrets=server.secrets())
    assert read(f"{target}/synced") == MARKER
    assert not condition(driver, volume).abnormal
    driver.unpublish("pvc-1")
    os.kill(rclones(driver)[0], signal.SIGKILL)
    # An unstage after a crash uploads what is left, without any secret.
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("synced") == MARKER


def test_a_stopped_server_aborts_the_unstage_until_it_is_back(driver, server, refused):
    volume = create(driver, server, rclone_vfs_write_back="10s")
    target = open_it(driver, server, volume)
    write(f"{target}/a", MARKER)
    server.stop()
    assert json.loads(lcw(driver, "show", "pvc-1", "-o", "json"))["state"] == "formatted"
    assert "1 files, 31 bytes left" in lcw(driver, "drain", "pvc-1", check=False)
    driver.unpublish("pvc-1")
    with refused("ABORTED", "1 files with 31 bytes"):
        driver.unstage("pvc-1", timeout=25)
    assert kernel.mount_at(driver.staging("pvc-1")) is not None
    server.start()
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == MARKER


def test_a_second_node_is_fenced_until_the_first_has_drained(driver, server, refused):
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    write(f"{target}/a", MARKER)
    with folder() as base, running_driver(base, options=OPTIONS, node="node-b") as other:
        with refused("FAILED_PRECONDITION", "node-a", "lcw volume release pvc-1 --node=node-a"):
            other.stage(volume, secrets=server.secrets())
        close_it(driver, volume)
        other.stage(volume, secrets=server.secrets())
        assert read(f"{other.staging('pvc-1')}/a") == MARKER
        with refused("FAILED_PRECONDITION", "node-b"):
            driver.stage(volume, secrets=server.secrets())
        other.unstage("pvc-1")


def lcw(driver, *words, check=True):
    return kernel.run(os.path.join(os.environ["LCW_BUILD"], "lcw"), "volume", *words,
                      f"--state-dir={driver.base}/state", f"--run-dir={driver.base}/run",
                      f"--node-id={driver.node}", check=check)


def test_no_secret_is_found_anywhere(driver, server):
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    write(f"{target}/a", "x")
    pids = [driver.process.pid, *processes(driver, "mounter"), *rclones(driver)]
    assert len(pids) == 3
    assert os.path.isdir(f"{driver.base}/run/cache/pvc-1/vfsMeta")  # rclone's notes are looked at too
    assert leaks(driver, server, pids, "pvc-1") == []
    close_it(driver, volume)


def power_cut(driver, target):
    """All processes die at once, and the mounts are gone."""
    for victim in rclones(driver):
        os.kill(victim, signal.SIGKILL)
    driver.kill()
    for path in (target, driver.staging("pvc-1"), f"{driver.base}/run/cache/pvc-1"):
        kernel.run("umount", "-l", path)
    until("the cache is free", lambda: subprocess.run(
        ["cryptsetup", "close", "luks-pvc-1"], check=False, capture_output=True).returncode == 0)
    os.rmdir(target)


def test_a_reboot_uploads_what_was_synced(driver, server):
    volume = create(driver, server, rclone_vfs_write_back="1h")
    target = open_it(driver, server, volume)
    write(f"{target}/a", MARKER)
    power_cut(driver, target)
    driver.start()
    driver.stage(volume, secrets=server.secrets())
    assert read(f"{driver.staging('pvc-1')}/a") == MARKER
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == MARKER


def test_a_cache_of_a_mounter_that_was_root_is_taken_over(driver, server):
    """As an earlier version left it, with data in it that are nowhere else."""
    volume = create(driver, server, rclone_vfs_write_back="1h")
    target = open_it(driver, server, volume)
    cache = f"{driver.base}/run/cache/pvc-1"
    os.mkdir(f"{target}/deeper")
    write(f"{target}/deeper/a", MARKER)
    until("it is noted", lambda: glob.glob(f"{cache}/vfsMeta/**/a", recursive=True))
    kernel.run("sync")
    kernel.run("chown", "-R", "0:0", cache)
    for victim in processes(driver, "mounter"):
        os.kill(victim, signal.SIGKILL)
    until("its rclone is gone too", lambda: rclones(driver) == [])
    power_cut(driver, target)
    kernel.run("chown", "-R", "0:0", f"{driver.base}/run/mounter")
    driver.start()
    driver.stage(volume, secrets=server.secrets())
    found = {os.lstat(path).st_uid for path in (cache, *glob.glob(f"{cache}/**", recursive=True))}
    assert found == {MOUNTER_USER}
    assert read(f"{driver.staging('pvc-1')}/deeper/a") == MARKER
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("deeper/a") == MARKER


def test_a_cache_that_was_given_up_is_never_uploaded(driver, server, refused):
    """Not even when a call dies at a bad moment: it writes nothing into the bucket."""
    faulty = Faulty(server.port)
    volume = create(driver, server, rclone_vfs_write_back="1h", s3_endpoint=faulty.endpoint)
    target = open_it(driver, server, volume)
    write(f"{target}/a", "older")
    power_cut(driver, target)
    with folder() as base, running_driver(base, options=OPTIONS, node="node-b") as other:
        create(other, server, rclone_vfs_write_back="1h", s3_endpoint=faulty.endpoint)
        lcw(other, "release", "pvc-1", "--node=node-a", "--accept-loss")
        other.stage(volume, secrets=server.secrets())
        write(f"{other.staging('pvc-1')}/a", "newer")
        other.unstage("pvc-1")
    driver.start()
    for capability in (mount_capability(), mount_capability(mode=MODES.MULTI_NODE_READER_ONLY)):
        faulty.requests.clear()
        with refused("FAILED_PRECONDITION", "would overwrite newer files"):
            driver.stage(volume, secrets=server.secrets(), capability=capability)
        assert faulty.requests
        assert not [one for one in faulty.requests if not one.startswith(("GET", "HEAD"))]
    lcw(driver, "release", "pvc-1", "--node=node-a", "--accept-loss")
    driver.stage(volume, secrets=server.secrets())
    assert read(f"{driver.staging('pvc-1')}/a") == "newer"
    driver.unstage("pvc-1")
    faulty.stop()


def test_a_cache_that_could_not_be_opened_does_not_stand_in_the_way(driver, server):
    """It was made, and nothing was ever written into it: no administrator needs to look."""
    volume = create(driver, server)
    place = f"{driver.base}/run/cache/pvc-1"
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    for follower in (driver.stage, lambda *_, **__: driver.unstage("pvc-1")):
        write(place, "not a folder")
        with pytest.raises(grpc.RpcError, match="cache of volume"):
            driver.stage(volume, secrets=server.secrets())
        assert os.path.exists(f"{driver.base}/state/cache/pvc-1/luks-pvc-1.img")
        os.unlink(place)
        follower(volume, secrets=server.secrets())
        driver.unstage("pvc-1")
        assert glob.glob(f"{driver.base}/state/cache/*") == []
    # Nor does another node need to be told of it.
    with folder() as base, running_driver(base, options=OPTIONS, node="node-b") as other:
        other.stage(volume, secrets=server.secrets())
        other.unstage("pvc-1")


def test_a_reader_uploads_nothing(driver, server):
    """Its rclone dies while it writes a note, and the file is another one since."""
    volume = create(driver, server)
    reader = mount_capability(mode=MODES.MULTI_NODE_READER_ONLY)
    cli = Cli(server, "volumes/pvc-1/files", "pvc-1")
    cli.write("a", "older")

    def cut_off_a_note():
        note, = glob.glob(f"{driver.base}/run/cache/pvc-1/vfsMeta/**/a", recursive=True)
        os.kill(rclones(driver)[0], signal.SIGKILL)
        until("it is gone", lambda: rclones(driver) == [])
        os.truncate(note, 0)

    driver.stage(volume, secrets=server.secrets(), capability=reader)
    assert read(f"{driver.staging('pvc-1')}/a") == "older"
    cut_off_a_note()
    cli.write("a", "newer")
    driver.stage(volume, secrets=server.secrets(), capability=reader)
    assert read(f"{driver.staging('pvc-1')}/a") == "newer"
    cut_off_a_note()
    driver.unstage("pvc-1")
    time.sleep(3)  # of write-back
    assert cli.read("a") == "newer"
    assert glob.glob(f"{driver.base}/state/cache/*") == []


def test_a_name_that_s3_cannot_take_is_told_and_kept(driver, server, refused):
    """rclone says yes to it, and the upload fails: 143 bytes are the limit of this server's names."""
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    long = "n" * 200
    write(f"{target}/{long}", MARKER)
    write(f"{target}/{'m' * 143}", "fits")
    until("the other file is uploaded, and the condition says what is not",
          lambda: "uploads fail (1 files wait)" in condition(driver, volume).message)
    assert read(f"{target}/{long}") == MARKER
    driver.unpublish("pvc-1")
    with refused("ABORTED", "1 files with 31 bytes"):
        driver.unstage("pvc-1", timeout=20)
    # With another name it goes to S3, and the volume can leave the node.
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume)
    os.rename(f"{target}/{long}", f"{target}/short")
    close_it(driver, volume)
    cli = Cli(server, "volumes/pvc-1/files", "pvc-1")
    assert (cli.read("short"), cli.read("m" * 143)) == (MARKER, "fits")
