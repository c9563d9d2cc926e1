"""Volumes in S3 on a real kernel: dm-crypt cache, real rclone, real S3 server.

Loopback only. What needs no device-mapper is in tests/s3; what is about the cache alone, in test_s3_caches.py.
"""
# time limit: 1800
import glob
import json
import os
import signal
import subprocess
import sys

import kernel
import pytest
from driver import until
from fixtures import folder, running_driver
from s3 import Cli, leaks
from s3_volumes import (MARKER, OPTIONS, close_it, condition, create, delete, driver, lcw, lcw_command,  # noqa: F401
                        open_it, processes, rclones, read, server, write)

WRITER = """
import os, sys, time
out = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
count = 0
while not os.path.exists(sys.argv[2]):
    os.write(out, b"line\\n"); os.fsync(out); count += 1; time.sleep(0.02)
os.close(out)
print(count)
"""


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
    shown = json.loads(lcw(driver, "show", "pvc-1", "-o", "json"))
    assert shown["state"] == "formatted"
    assert set(shown["uploads"]) == {"files", "bytes", "uploading", "cacheBytes", "lastError"}
    assert (shown["uploads"]["files"], shown["uploads"]["bytes"]) == (1, 31)
    assert "1 files with 31 bytes wait for S3" in lcw(driver, "show", "pvc-1")
    assert "1 files, 31 bytes left" in lcw(driver, "drain", "pvc-1", check=False)
    with subprocess.Popen(lcw_command(driver, "drain", "pvc-1", "--wait"), stdout=subprocess.PIPE, text=True) as waiter:
        driver.unpublish("pvc-1")
        with refused("ABORTED", "1 files with 31 bytes"):
            driver.unstage("pvc-1", timeout=25)
        assert kernel.mount_at(driver.staging("pvc-1")) is not None
        assert waiter.poll() is None, waiter.stdout.read()
        server.start()
        bars = waiter.communicate(timeout=120)[0]
    assert waiter.returncode == 0 and "31 bytes left" in bars.splitlines()[0]
    assert bars.splitlines()[-1] == f"[{'#' * 40}] 0 files, 0 bytes left"
    assert json.loads(lcw(driver, "show", "pvc-1", "-o", "json"))["uploads"]["files"] == 0
    driver.unstage("pvc-1")
    assert "uploads" not in json.loads(lcw(driver, "show", "pvc-1", "-o", "json"))
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


def test_no_secret_is_found_anywhere(driver, server):
    volume = create(driver, server)
    target = open_it(driver, server, volume)
    write(f"{target}/a", "x")
    pids = [driver.process.pid, *processes(driver, "mounter"), *rclones(driver)]
    assert len(pids) == 3
    assert os.path.isdir(f"{driver.base}/run/cache/pvc-1/vfsMeta")  # rclone's notes are looked at too
    assert leaks(driver, server, pids, "pvc-1") == []
    close_it(driver, volume)


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
