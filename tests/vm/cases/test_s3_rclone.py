"""What the rclone of our image does not lose, and a stock one does (scripts/tools.d/rclone-*.patch): each was seen to fail with that."""
# time limit: 900
import contextlib
import glob
import os
import signal
import time

import kernel
import pytest
from driver import until
from faulty import Faulty
from s3 import BUCKET, Cli
from s3_volumes import MARKER, close_it, create, driver, lcw, open_it, rclones, read, server, write  # noqa: F401

OLD, NEW = b"o" * (24 << 20), b"n" * 4096
CHANGED = NEW + OLD[len(NEW):]


@pytest.fixture
def faulty(server):  # noqa: F811
    one = Faulty(server.port)
    yield one
    one.stop()


def change(target, faulty):
    """The first bytes of a file of which hardly anything else comes into the cache."""
    faulty.rate = 100_000
    faulty.be("slow")
    out = open(f"{target}/f", "r+b", buffering=0)
    out.write(NEW)
    os.fsync(out.fileno())
    return out


def has_open(driver, name):
    """Whether rclone has a file of its cache open whose name ends so."""
    folder = f"/proc/{rclones(driver)[0]}/fd"
    for number in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            path = os.readlink(f"{folder}/{number}")
            if "/cache/pvc-1/vfs/" in path and path.endswith(name):
                return True
    return False


def content(path):
    with open(path, "rb") as found:
        return found.read()


def test_a_file_that_cannot_be_opened_is_kept(driver, server):  # noqa: F811
    """Its note cannot be written, as on a cache that is full."""
    volume = create(driver, server, rclone_vfs_write_back="1h")
    target = open_it(driver, server, volume)
    write(f"{target}/a", MARKER)
    note, = glob.glob(f"{driver.base}/run/cache/pvc-1/vfsMeta/**/a", recursive=True)
    kernel.run("chattr", "+i", note)
    try:
        with pytest.raises(OSError):
            read(f"{target}/a")
    finally:
        kernel.run("chattr", "-i", note)
    assert read(f"{target}/a") == MARKER
    close_it(driver, volume)
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == MARKER


@pytest.mark.timeout(400)
def test_a_close_without_the_server_keeps_what_was_changed(driver, server, faulty):  # noqa: F811
    volume = create(driver, server, rclone_vfs_write_back="1s", s3_endpoint=faulty.endpoint)
    cli = Cli(server, "volumes/pvc-1/files", "pvc-1")
    cli.write("f", OLD.decode())
    target = open_it(driver, server, volume)
    out = change(target, faulty)
    assert has_open(driver, "/f")
    faulty.be("403")
    out.close()
    until("rclone gives it up", lambda: not has_open(driver, "/f"), 300)
    faulty.be("pass")
    until("it is as it was changed", lambda: content(f"{target}/f") == CHANGED, 60)
    close_it(driver, volume)
    assert cli.read("f") == CHANGED.decode()


def test_a_start_without_the_object_uploads_no_holes(driver, server, faulty):  # noqa: F811
    """S3 fails for one file, just when rclone starts again on what the cache has of it."""
    volume = create(driver, server, rclone_vfs_write_back="1s", s3_endpoint=faulty.endpoint)
    cli = Cli(server, "volumes/pvc-1/files", "pvc-1")
    cli.write("f", OLD.decode())
    key, = server.objects()
    target = open_it(driver, server, volume)
    out = change(target, faulty)
    os.kill(rclones(driver)[0], signal.SIGKILL)
    until("it is gone", lambda: rclones(driver) == [])
    with pytest.raises(OSError):
        os.fsync(out.fileno())
    with contextlib.suppress(OSError):
        out.close()
    faulty.be("pass")
    faulty.requests.clear()
    faulty.broken = f"HEAD /{BUCKET}/{key}"
    driver.stage(volume, secrets=server.secrets())
    assert faulty.broken in faulty.requests, faulty.requests
    faulty.broken = None
    time.sleep(6)  # much longer than it waits for an upload
    assert "1 files" in lcw(driver, "drain", "pvc-1", check=False)
    assert content(f"{target}/f")[len(NEW):] == OLD[len(NEW):]
    close_it(driver, volume)
    assert cli.read("f")[len(NEW):] == OLD[len(NEW):].decode()
