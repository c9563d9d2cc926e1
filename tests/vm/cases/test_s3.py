"""Volumes in S3 on a real kernel: dm-crypt cache, real rclone, real S3 server.

Loopback only. What needs no device-mapper is in tests/s3.
"""
import glob
import json
import os
import signal
import subprocess
import sys

import kernel
import pytest
from driver import MODES, mount_capability, until
from s3 import ACCESS, PASSPHRASE, SECRET, Cli, Server

import csi_pb2 as csi
from fixtures import folder, running_driver

OPTIONS = [f"--rclone={os.environ['LCW_RCLONE']}"]
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


@pytest.fixture
def driver():
    with folder() as base, running_driver(base, options=OPTIONS) as one:
        yield one


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


def rclones(driver):
    """Processes of rclone mounts that serve volumes of this driver."""
    found = []
    for folder_ in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{folder_}/cmdline", "rb") as text:
                words = text.read().split(b"\0")
        except OSError:
            continue
        if b"mount2" in words and any(driver.base.encode() in word for word in words):
            found.append(int(folder_.split("/")[2]))
    return found


def test_the_whole_life_of_a_volume(driver, server):
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    assert kernel.mount_at(target)[2] == "fuse.rclone"
    assert os.listdir(target) == []
    write(f"{target}/a-readable-name", MARKER)
    os.makedirs(f"{target}/folder/deeper")
    with open(f"{target}/folder/deeper/large", "wb") as out:
        out.write(os.urandom(1 << 20) * 12)
    close_it(driver, volume)

    # In the bucket: nothing that can be read. With rclone alone: everything.
    assert server.objects("volumes/pvc-1/files/")
    assert not server.holds(MARKER)
    assert not [key for key in server.objects() if "readable" in key or "lukscryptwalker" in key]
    cli = Cli(server, "volumes/pvc-1/files", "pvc-1")
    assert cli.read("a-readable-name") == MARKER
    assert "folder/deeper/large" in cli.names()
    cli.write("from-outside", "written by the CLI")

    target = open_it(driver, server, volume)
    assert read(f"{target}/a-readable-name") == MARKER
    assert os.path.getsize(f"{target}/folder/deeper/large") == 12 << 20
    assert read(f"{target}/from-outside") == "written by the CLI"
    assert sorted(os.listdir(target)) == ["a-readable-name", "folder", "from-outside"]
    close_it(driver, volume)
    delete(driver, server, volume.volume_id)
    assert server.objects() == []
    assert glob.glob(f"{driver.base}/state/cache/*") == []


def test_the_cache_is_encrypted_and_gone_after_the_drain(driver, server):
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    image = f"{driver.base}/state/cache/pvc-1/luks-pvc-1.img"
    assert "luks-pvc-1" in kernel.mappings()
    write(f"{target}/a", MARKER)
    kernel.run("sync")
    with open(image, "rb") as content:
        assert MARKER.encode() not in content.read()
    close_it(driver, volume)
    assert not os.path.exists(image)
    assert "luks-pvc-1" not in kernel.mappings()


def test_permissions_come_from_the_group(driver, server):
    volume = create(driver, server)
    driver.stage(volume, secrets=server.secrets())
    assert os.stat(driver.staging("pvc-1")).st_mode & 0o7777 == 0o755
    driver.unstage("pvc-1")
    driver.stage(volume, capability=mount_capability(group="26"), secrets=server.secrets())
    found = os.stat(driver.staging("pvc-1"))
    assert (found.st_mode & 0o777, found.st_gid) == (0o775, 26)
    driver.unstage("pvc-1")


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


def test_a_wrong_passphrase_never_shows_an_empty_volume(driver, server, refused):
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    write(f"{target}/a", MARKER)
    close_it(driver, volume)
    with refused("FAILED_PRECONDITION", "passphrase does not open the data"):
        driver.stage(volume, secrets=server.secrets(passphrase="another"))
    assert kernel.mount_at(driver.staging("pvc-1")) is None
    assert rclones(driver) == []
    driver.stage(volume, secrets=server.secrets())
    driver.unstage("pvc-1")


def test_data_of_the_go_driver_is_taken_over_with_the_right_key_only(driver, server, refused):
    Cli(server, "old/data", "old/data").write("folder/file", MARKER)
    volume = create(driver, server, s3_path_prefix="old/data")
    with refused("FAILED_PRECONDITION", "passphrase does not open the data"):
        driver.stage(volume, secrets=server.secrets(passphrase="another"))
    target = open_it(driver, server, volume)
    assert read(f"{target}/folder/file") == MARKER
    close_it(driver, volume)


def test_an_emptied_bucket_is_not_an_empty_volume(driver, server, refused):
    volume = create(driver, server)
    open_it(driver, server, volume)
    close_it(driver, volume)
    server.raw("purge", "volumes-of-a-test/volumes")
    with refused("FAILED_PRECONDITION", "was used before"):
        driver.stage(volume, secrets=server.secrets())


def test_a_stopped_server_aborts_the_unstage_until_it_is_back(driver, server, refused):
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    server.stop()
    write(f"{target}/a", MARKER)
    driver.unpublish("pvc-1")
    with refused("ABORTED", "1 files with 31 bytes"):
        driver.unstage("pvc-1", timeout=25)
    assert kernel.mount_at(driver.staging("pvc-1")) is not None
    server.start()
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == MARKER


def test_an_open_file_aborts_the_unstage(driver, server, refused):
    volume = create(driver, server)
    driver.stage(volume, secrets=server.secrets())
    with open(f"{driver.staging('pvc-1')}/a", "w", encoding="ascii") as out:
        out.write("x")
        out.flush()
        with refused("ABORTED", "open for writing"):
            driver.unstage("pvc-1")
        out.write("y")
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == "xy"


def test_a_second_node_is_fenced_until_the_first_has_drained(driver, server, refused):
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    write(f"{target}/a", MARKER)
    with folder() as base, running_driver(base, options=OPTIONS, node="node-b") as other:
        with refused("FAILED_PRECONDITION", "node-a", "lcw volume release pvc-1 --node=node-a"):
            other.stage(volume, secrets=server.secrets())
        reader = mount_capability(mode=MODES.MULTI_NODE_READER_ONLY)
        other.stage(volume, secrets=server.secrets(), capability=reader)
        other.unstage("pvc-1")
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


def test_a_lost_node_is_released_by_an_administrator(driver, server, refused):
    volume = create(driver, server)
    driver.stage(volume, secrets=server.secrets())
    with folder() as base, running_driver(base, options=OPTIONS, node="node-b") as other:
        with refused("FAILED_PRECONDITION", "node-a"):
            other.stage(volume, secrets=server.secrets())
        # node-b has no record of the volume before it was staged there once as a reader.
        reader = mount_capability(mode=MODES.MULTI_NODE_READER_ONLY)
        other.stage(volume, secrets=server.secrets(), capability=reader)
        other.unstage("pvc-1")
        assert "lost" in lcw(other, "release", "pvc-1", "--node=node-a", "--accept-loss")
        other.stage(volume, secrets=server.secrets())
        assert "given up by an administrator" in other.read_log()
        other.unstage("pvc-1")
    driver.unstage("pvc-1")


def test_read_only_publish(driver, server):
    volume = create(driver, server)
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume, readonly=True)
    with pytest.raises(OSError):
        write(f"{target}/a", "x")
    close_it(driver, volume)


def test_drain_and_show_of_lcw(driver, server):
    volume = create(driver, server, rclone_vfs_write_back="3s")
    target = open_it(driver, server, volume)
    write(f"{target}/a", MARKER)
    shown = json.loads(lcw(driver, "show", "pvc-1", "-o", "json"))
    assert shown["parameters"]["storage-backend"] == "s3"
    assert "0 files, 0 bytes left" in lcw(driver, "drain", "pvc-1", "--wait")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == MARKER
    close_it(driver, volume)


def test_no_secret_is_found_anywhere(driver, server):
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    write(f"{target}/a", "x")
    hidden = [SECRET, ACCESS, PASSPHRASE, f"{PASSPHRASE}-pvc-1"]
    for pid in [driver.process.pid, *rclones(driver)]:
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as text:
                content = text.read()
            assert not [word for word in hidden if word.encode() in content], (pid, name)
    for path in glob.glob(f"{driver.base}/**", recursive=True):
        if os.path.isfile(path) and not path.startswith(target) and ".img" not in path:
            with open(path, "rb") as content:
                text = content.read()
            assert not [word for word in hidden if word.encode() in text], path
    close_it(driver, volume)


def test_cache_mode_off_needs_no_cache(driver, server):
    volume = create(driver, server, rclone_vfs_cache_mode="off")
    target = open_it(driver, server, volume)
    assert "luks-pvc-1" not in kernel.mappings()
    with open(f"{target}/a", "w", encoding="ascii") as out:
        out.write("text")
    close_it(driver, volume)
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == "text"


def test_a_reboot_uploads_what_was_synced(driver, server):
    """All processes die at once, as in a power cut, and the mounts are gone."""
    volume = create(driver, server, rclone_vfs_write_back="1h")
    target = open_it(driver, server, volume)
    write(f"{target}/a", MARKER)
    for victim in rclones(driver):
        os.kill(victim, signal.SIGKILL)
    driver.kill()
    for path in (target, driver.staging("pvc-1"), f"{driver.base}/run/cache/pvc-1"):
        kernel.run("umount", "-l", path)
    until("the cache is free", lambda: subprocess.run(
        ["cryptsetup", "close", "luks-pvc-1"], check=False, capture_output=True).returncode == 0)
    os.rmdir(target)
    driver.start()
    driver.stage(volume, secrets=server.secrets())
    assert read(f"{driver.staging('pvc-1')}/a") == MARKER
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == MARKER
