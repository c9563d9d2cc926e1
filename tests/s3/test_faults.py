"""An S3 server that fails in each way there is. What a cache does meanwhile is in
tests/vm/cases/test_s3_caches.py."""
import os
import time

import grpc
import pytest
from driver import until
from faulty import Faulty
from s3 import BUCKET, Cli
from test_controller import create, delete
from test_mount import TEXT, rclones, write


@pytest.fixture
def faulty(server):
    one = Faulty(server.port)
    yield one
    one.stop()


@pytest.fixture
def volume(driver, server, faulty):
    return create(driver, "pvc-1", server.parameters(
        rclone_vfs_cache_mode="off", s3_endpoint=faulty.endpoint), server.secrets())


@pytest.mark.parametrize("mode, code, words", [
    ("refuse", "UNAVAILABLE", "cannot be reached"),
    ("500", "UNAVAILABLE", "reports a failure"),
    ("503", "UNAVAILABLE", "reports a failure"),
    ("403", "FAILED_PRECONDITION", "not allowed to use bucket"),
])
def test_a_stage_says_what_fails_and_works_when_it_is_over(driver, server, faulty, volume, refused,
                                                           mode, code, words):
    faulty.be(mode)
    with refused(code, words):
        driver.stage(volume, secrets=server.secrets())
    assert rclones(driver) == []
    faulty.be("pass")
    driver.stage(volume, secrets=server.secrets())
    write(f"{driver.staging('pvc-1')}/a", TEXT)
    driver.unstage("pvc-1")


def test_a_server_that_hangs_is_named_in_time(driver, server, faulty, volume, refused):
    faulty.be("hang")
    start = time.monotonic()
    with refused("UNAVAILABLE", "did not answer|cannot be reached"):
        driver.stage(volume, secrets=server.secrets())
    assert time.monotonic() - start < 60
    faulty.be("pass")
    driver.stage(volume, secrets=server.secrets())
    driver.unstage("pvc-1")


def test_a_slow_server_is_waited_for(driver, server, faulty, volume):
    faulty.rate = 4000
    faulty.be("slow")
    driver.stage(volume, secrets=server.secrets())
    write(f"{driver.staging('pvc-1')}/a", TEXT * 200)
    driver.unstage("pvc-1")
    faulty.be("pass")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == TEXT * 200


def test_a_failing_server_does_not_end_rclone_or_the_mount(driver, server, faulty, volume):
    """Without a cache a writer is told; it is not killed, and the next one works."""
    driver.stage(volume, secrets=server.secrets())
    folder, before = driver.staging("pvc-1"), rclones(driver)
    write(f"{folder}/kept", TEXT)
    faulty.be("403")
    with pytest.raises(OSError):
        write(f"{folder}/a", TEXT)
    faulty.be("pass")
    write(f"{folder}/b", TEXT)
    assert rclones(driver) == before
    driver.unstage("pvc-1")
    names = Cli(server, "volumes/pvc-1/files", "pvc-1").names()
    assert {"b", "kept"} <= set(names)


def test_a_hundredth_of_the_connections_breaks(driver, server, faulty, volume):
    """Every call is repeated as kubelet repeats it; none says anything but UNAVAILABLE or ABORTED."""
    faulty.be("drop")
    faulty.chance = 0.05  # of a piece; a connection has few of them here
    for number in range(4):
        for call in (lambda: driver.stage(volume, secrets=server.secrets()),
                     lambda: driver.unstage("pvc-1")):
            for _ in range(10):
                try:
                    call()
                    break
                except grpc.RpcError as error:
                    assert error.code().name in ("UNAVAILABLE", "ABORTED"), error.details()
            else:
                pytest.fail(f"ten times in round {number}")
    assert faulty.dropped
    faulty.be("pass")
    delete(driver, "pvc-1", server.secrets())
    assert server.objects() == []


def test_a_changed_secret_is_used_from_the_next_stage_on(driver, server, volume, refused):
    old = server.secrets()
    driver.stage(volume, secrets=old)
    write(f"{driver.staging('pvc-1')}/a", TEXT)
    driver.unstage("pvc-1")
    server.stop()
    server.secret = "another-secret-marker"
    server.start()
    with refused("FAILED_PRECONDITION", "does not accept the keys") as answer:
        driver.stage(volume, secrets=old)
    assert old["s3-secret-access-key"] not in answer.sentence
    driver.stage(volume, secrets=server.secrets())
    with open(f"{driver.staging('pvc-1')}/a", encoding="utf-8") as content:
        assert content.read() == TEXT
    driver.unstage("pvc-1")
    assert server.secret not in driver.read_log()


def test_a_bucket_that_was_removed_is_named(driver, server, volume, refused):
    driver.stage(volume, secrets=server.secrets())
    write(f"{driver.staging('pvc-1')}/a", TEXT)
    driver.unstage("pvc-1")
    os.rename(f"{server.buckets}/{BUCKET}", f"{server.base}/aside")
    with refused("FAILED_PRECONDITION", f"bucket '{BUCKET}' does not exist"):
        driver.stage(volume, secrets=server.secrets())
    os.rename(f"{server.base}/aside", f"{server.buckets}/{BUCKET}")
    driver.stage(volume, secrets=server.secrets())
    until("it is there", lambda: os.listdir(driver.staging("pvc-1")) == ["a"])
    driver.unstage("pvc-1")
