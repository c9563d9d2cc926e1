"""The cache of a volume in S3: what it holds is uploaded after whatever happened, or never, as it has to be."""
# time limit: 1800
import contextlib
import glob
import json
import os
import re
import signal
import subprocess
import time

import grpc
import kernel
import pytest
from driver import MODES, mount_capability, until
from faulty import Faulty
from fixtures import folder, running_driver
from s3 import Cli
from s3_volumes import (MARKER, OPTIONS, close_it, condition, create, driver, lcw, open_it, processes, rclones,  # noqa: F401
                        read, server, write)

MOUNTER_USER = 47710  # src/mounter/confine.h


@pytest.mark.parametrize("mode", ["minimal", "writes"])
def test_the_other_cache_modes_lose_nothing_either(driver, server, mode):
    """`minimal` streams what is opened for writing only: it is in S3 when it is closed."""
    volume = create(driver, server, rclone_vfs_cache_mode=mode, rclone_vfs_write_back="1h")
    target = open_it(driver, server, volume)
    write(f"{target}/written", MARKER)
    with open(f"{target}/updated", "w+", encoding="utf-8") as both:
        both.write(MARKER)
        both.flush()
        os.fsync(both.fileno())
        both.seek(0)
        assert both.read() == MARKER
    cli = Cli(server, "volumes/pvc-1/files", "pvc-1")
    assert ("written" in cli.names()) == (mode == "minimal") and "updated" not in cli.names()
    os.kill(rclones(driver)[0], signal.SIGKILL)
    until("it is gone", lambda: rclones(driver) == [])
    driver.stage(volume, secrets=server.secrets())
    assert [read(f"{target}/{name}") for name in ("written", "updated")] == [MARKER, MARKER]
    close_it(driver, volume)
    assert [cli.read(name) for name in ("written", "updated")] == [MARKER, MARKER]
    assert glob.glob(f"{driver.base}/state/cache/*") == []


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


def test_a_node_that_was_cut_off_uploads_nothing_when_it_comes_back(driver, server, refused):
    """Its pods are gone, and kubelet unstages: what was given up meanwhile is older than what is in S3."""
    volume = create(driver, server, rclone_vfs_write_back="1h")
    target = open_it(driver, server, volume)
    write(f"{target}/a", "older")
    driver.unpublish("pvc-1")
    with folder() as base, running_driver(base, options=OPTIONS, node="node-b") as other:
        # On one kernel two caches of one volume would have one name.
        create(other, server, rclone_vfs_cache_mode="off")
        lcw(other, "release", "pvc-1", "--node=node-a", "--accept-loss")
        other.stage(volume, secrets=server.secrets())
        write(f"{other.staging('pvc-1')}/a", "newer")
        other.unstage("pvc-1")
    cli = Cli(server, "volumes/pvc-1/files", "pvc-1")
    for _ in range(2):
        with refused("ABORTED", "1 files", "would overwrite newer files"):
            driver.unstage("pvc-1")
        assert cli.read("a") == "newer"
    lcw(driver, "release", "pvc-1", "--node=node-a", "--accept-loss")
    driver.unstage("pvc-1")
    assert cli.read("a") == "newer" and glob.glob(f"{driver.base}/state/cache/*") == []


@pytest.mark.timeout(400)
def test_an_upload_is_not_begun_again_with_each_unstage(driver, server, refused):
    """The class lets uploads wait for an hour. Once they were hurried, the next call waits for them."""
    faulty = Faulty(server.port)
    faulty.rate = 1 << 20
    volume = create(driver, server, rclone_vfs_write_back="1h", s3_endpoint=faulty.endpoint)
    target = open_it(driver, server, volume)
    with open(f"{target}/large", "wb") as out:
        out.write(os.urandom(48 << 20))
        os.fsync(out.fileno())
    driver.unpublish("pvc-1")
    faulty.be("slow")
    calls = 0
    while glob.glob(f"{driver.base}/state/cache/*"):
        calls += 1
        with contextlib.suppress(grpc.RpcError):
            driver.unstage("pvc-1", timeout=20)
        assert calls < 12
    assert calls > 1
    assert driver.read_log().count("starting rclone only to upload what is left") == 1
    faulty.stop()


def test_revoked_keys_do_not_keep_a_volume_that_is_in_s3(driver, server, refused):
    """A retry would have the same keys. Another node is still told who has it."""
    faulty = Faulty(server.port)
    volume = create(driver, server, rclone_vfs_write_back="1s", s3_endpoint=faulty.endpoint)
    target = open_it(driver, server, volume)
    write(f"{target}/a", MARKER)
    until("it is in S3", lambda: "0 files, 0 bytes left" in lcw(driver, "drain", "pvc-1", check=False))
    faulty.be("403")
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")
    assert "its bucket cannot be told" in driver.read_log()
    assert glob.glob(f"{driver.base}/state/cache/*") == [] and rclones(driver) == [] and not kernel.mappings()
    faulty.be("pass")
    with folder() as base, running_driver(base, options=OPTIONS, node="node-b") as other:
        with refused("FAILED_PRECONDITION", "node-a", "lcw volume release pvc-1 --node=node-a"):
            other.stage(volume, secrets=server.secrets())
        driver.stage(volume, secrets=server.secrets())
        driver.unstage("pvc-1")
        other.stage(volume, secrets=server.secrets())
        assert read(f"{other.staging('pvc-1')}/a") == MARKER
        other.unstage("pvc-1")
    faulty.stop()


def test_what_is_open_is_not_in_s3(driver, server):
    """It is synced, and in no queue: who looks before a node is given up must read of it."""
    volume = create(driver, server, rclone_vfs_write_back="1s")
    target = open_it(driver, server, volume)
    with open(f"{target}/log", "w", encoding="ascii") as out:
        out.write(MARKER)
        out.flush()
        os.fsync(out.fileno())
        time.sleep(3)
        assert f"1 files, {len(MARKER)} bytes left" in lcw(driver, "drain", "pvc-1", check=False)
        shown = json.loads(lcw(driver, "show", "pvc-1", "-o", "json"))
        assert (shown["uploads"]["files"], shown["uploads"]["bytes"]) == (1, len(MARKER))
    until("it is in S3", lambda: "0 files, 0 bytes left" in lcw(driver, "drain", "pvc-1", check=False))
    close_it(driver, volume)


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


@pytest.mark.timeout(600)
def test_a_writer_notices_no_fault_of_the_server(driver, server):
    """All that it writes is kept here, the condition says why it stays here, and all goes when the fault is over."""
    faulty = Faulty(server.port)
    volume = create(driver, server, rclone_vfs_write_back="1s", s3_endpoint=faulty.endpoint)
    target = open_it(driver, server, volume)
    assert os.listdir(target) == []  # what is in a folder is known from now on (docs/s3.md, limits)

    def wait(count):
        return f"{count} files, {count * len(MARKER)} bytes left" in lcw(driver, "drain", "pvc-1", check=False)

    faulty.be("403")
    write(f"{target}/403", MARKER)
    until("the condition tells of it", lambda: re.search("uploads fail .*StatusCode: 403", condition(driver, volume).message), 120)
    assert condition(driver, volume).abnormal
    faults = ("403", "refuse", "500", "hang")  # the others are repeated for a minute or two before they are told
    for number, mode in enumerate(faults[1:], 2):
        faulty.be(mode)
        write(f"{target}/{mode}", MARKER)
        until(f"it waits: {mode}", lambda n=number: wait(n))
    assert [read(f"{target}/{name}") for name in faults] == [MARKER] * 4
    faulty.chance = 0.05  # of a piece; a connection has few of them here
    faulty.be("drop")
    driver.unpublish("pvc-1")
    until("it is drained", lambda: drained(driver), 200)
    cli = Cli(server, "volumes/pvc-1/files", "pvc-1")
    assert [cli.read(name) for name in faults] == [MARKER] * 4
    faulty.stop()


def drained(driver):
    """One call of kubelet, which repeats it for ever."""
    try:
        driver.unstage("pvc-1", timeout=60)
    except grpc.RpcError as error:
        assert error.code().name in ("ABORTED", "UNAVAILABLE"), error.details()
        return False
    return True
