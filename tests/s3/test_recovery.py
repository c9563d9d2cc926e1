"""What is left after a kill, and how a stage mends it: on this machine's kernel, without a cache.
What the cache keeps through it is in tests/vm/cases/test_s3_caches.py and tests/torture/s3_kills.py."""
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import grpc
import kernel
import pytest
from driver import MODES, Driver, mount_capability, until
from s3 import Cli
from test_controller import create
from test_mount import TEXT, condition, rclones, write

# A container: a mount namespace of its own with a bind of the published path, that tells whether
# it sees a file there, once for each line it is sent.
CONTAINER = """
import os, sys
for line in sys.stdin:
    try:
        print("seen" if line.strip() in os.listdir(sys.argv[1]) else "missing", flush=True)
    except OSError as error:
        print(os.strerror(error.errno), flush=True)
"""


@pytest.fixture
def volume(driver, server):
    return create(driver, "pvc-1", server.parameters(rclone_vfs_cache_mode="off"), server.secrets())


def layers(path):
    return [mount for mount in kernel.mounts() if mount[0] == path]


def mounter(driver):
    """Process id of the mounter that serves this driver."""
    return next(iter(kernel.serving("mounter", f"{driver.base}/run")), None)


def kill_rclone(driver):
    victim, = rclones(driver)
    os.kill(victim, signal.SIGKILL)
    until("the condition says so", lambda: condition(driver, "pvc-1").abnormal)


def stage_until_it_works(driver, volume, server, seconds=60):
    """As kubelet does: again and again."""
    end = time.monotonic() + seconds
    while True:
        try:
            return driver.stage(volume, secrets=server.secrets())
        except grpc.RpcError as error:
            assert error.code().name in ("ABORTED", "UNAVAILABLE"), error.details()
            assert time.monotonic() < end, error.details()
            time.sleep(0.2)


def test_a_killed_mounter_is_told_and_replaced(driver, server, volume):
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume)
    write(f"{target}/before", TEXT)
    os.kill(mounter(driver), signal.SIGKILL)
    until("its rclone dies with it", lambda: rclones(driver) == [])
    assert condition(driver, "pvc-1").abnormal
    stage_until_it_works(driver, volume, server)
    assert sorted(os.listdir(target)) == ["before"]
    write(f"{target}/after", TEXT)
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").names() == [
        ".lukscryptwalker/volume", "after", "before"]


def test_every_published_path_is_bound_anew(driver, server, volume):
    driver.stage(volume, secrets=server.secrets())
    writer, reader = driver.publish(volume, number=1), driver.publish(volume, number=2, readonly=True)
    for number in range(3):
        kill_rclone(driver)
        driver.stage(volume, secrets=server.secrets())
        write(f"{writer}/{number}", TEXT)
        until("the reader sees it", lambda: str(number) in os.listdir(reader))
        with pytest.raises(OSError):
            write(f"{reader}/x", TEXT)
        driver.publish(volume, number=1)
    assert len(layers(driver.staging("pvc-1"))) == 1
    for number in (1, 2):
        driver.unpublish("pvc-1", number=number)
        assert not os.path.exists(driver.target("pvc-1", number))
    driver.unstage("pvc-1")


def test_the_layers_of_many_recoveries_are_taken_away(driver, server, volume):
    """Each recovery puts one mount on top of the published path."""
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume)
    for _ in range(40):
        kernel.run("mount", "--bind", driver.staging("pvc-1"), target)
    assert len(layers(target)) == 41
    driver.unpublish("pvc-1")
    assert not layers(target) and not os.path.exists(target)
    driver.unstage("pvc-1")


def test_an_rclone_that_does_not_answer_is_not_called_staged(driver, server, volume, refused):
    """As one that is still starting: a pod on it would hang."""
    driver.stage(volume, secrets=server.secrets())
    victim, = rclones(driver)
    staging = driver.staging("pvc-1")  # which looks at it
    os.kill(victim, signal.SIGSTOP)
    try:
        time.sleep(1.5)  # what the kernel knows of the mount's root is forgotten
        with refused("ABORTED", "does not answer"):
            driver.stage(volume, secrets=server.secrets(), path=staging, timeout=30)
        # Nor is a worker lost in its mount by somebody who asks for the usage.
        assert driver.stats("pvc-1", staging, timeout=30).usage[0].total == 1 << 30
        assert "does not answer" in condition(driver, "pvc-1").message
    finally:
        os.kill(victim, signal.SIGCONT)
    driver.stage(volume, secrets=server.secrets())
    assert rclones(driver) == [victim]
    driver.unstage("pvc-1")


def test_a_recovery_that_was_broken_off_is_finished(driver, server, volume):
    """The worker died when rclone served again and the published path was not bound yet."""
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume)
    kill_rclone(driver)
    driver.stage(volume, secrets=server.secrets())
    kernel.run("umount", target)
    with pytest.raises(OSError):
        os.listdir(target)
    driver.stage(volume, secrets=server.secrets())
    write(f"{target}/a", TEXT)
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")


def test_a_published_path_is_never_a_bare_folder(driver, server, volume):
    """Or a container that starts then writes to the disk of the node, in plain text."""
    driver.stage(volume, secrets=server.secrets())
    target, seen, stop = driver.publish(volume), [], threading.Event()

    def watch():
        while not stop.is_set():
            seen.append(kernel.mount_at(target) is not None)

    watcher = threading.Thread(target=watch)
    watcher.start()
    kill_rclone(driver)
    driver.stage(volume, secrets=server.secrets())
    stop.set()
    watcher.join()
    assert all(seen) and len(seen) > 50
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")


@pytest.mark.parametrize("propagation, after", [
    ("rslave", "seen"), ("rprivate", "Transport endpoint is not connected")])
def test_what_a_container_sees_after_a_recovery(base, server, propagation, after):
    """HostToContainer: the new mount. None: the dead one, until its pod is restarted."""
    kernel.run("mount", "--bind", base, base)
    kernel.run("mount", "--make-shared", base)
    one = Driver(f"{base}/driver", os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi"),
                 options=[f"--rclone={os.environ['LCW_RCLONE']}"]).start()
    try:
        volume = create(one, "pvc-1", server.parameters(rclone_vfs_cache_mode="off"),
                        server.secrets())
        one.stage(volume, secrets=server.secrets())
        target, inside = one.publish(volume), f"{base}/inside"
        os.mkdir(inside)
        write(f"{target}/a", TEXT)
        start = (f"mount --bind {target} {inside} && mount --make-{propagation} {inside} && "
                 f"exec {sys.executable} -c '{CONTAINER}' {inside}")
        with subprocess.Popen(["unshare", "-m", "--propagation", "slave", "sh", "-c", start],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as container:
            def ask():
                container.stdin.write("a\n")
                container.stdin.flush()
                return container.stdout.readline().strip()

            assert ask() == "seen"
            kill_rclone(one)
            assert ask() == "Transport endpoint is not connected"
            one.stage(volume, secrets=server.secrets())
            assert ask() == after
            container.stdin.close()
        one.unpublish("pvc-1")
        one.unstage("pvc-1")
        assert one.stop() == 0
    finally:
        if one.process.poll() is None:
            one.process.kill()
        kernel.run("umount", "-l", base)


@pytest.fixture
def mirrored(base):
    """A driver, and a second place that shows all of its mounts: --host-root, or kubelet's folder bound to its place."""
    mirror = f"{base}-mirror"
    os.mkdir(mirror)
    kernel.run("mount", "--bind", base, base)
    kernel.run("mount", "--make-shared", base)
    kernel.run("mount", "--bind", base, mirror)
    one = Driver(f"{base}/driver", os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi"),
                 options=[f"--rclone={os.environ['LCW_RCLONE']}"]).start()
    yield one, mirror
    stopped = one.stop()
    kernel.run("umount", "-R", "-l", mirror)
    kernel.run("umount", "-R", "-l", base)
    os.rmdir(mirror)
    assert stopped == 0


def test_mounts_that_are_seen_a_second_time_do_not_count(mirrored, base, server):
    driver, mirror = mirrored
    volume = create(driver, "pvc-1", server.parameters(rclone_vfs_cache_mode="off"), server.secrets())
    once = mount_capability(mode=MODES.SINGLE_NODE_SINGLE_WRITER)
    driver.stage(volume, once, secrets=server.secrets())
    target = driver.publish(volume, once)
    driver.publish(volume, once)
    assert layers(target.replace(base, mirror, 1))
    kill_rclone(driver)
    driver.stage(volume, once, secrets=server.secrets())
    write(f"{target}/a", TEXT)
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")
    assert not layers(driver.staging("pvc-1"))


def test_two_recoveries_at_once(driver, server, volume):
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume)
    kill_rclone(driver)
    answers = []

    def stage():
        try:
            driver.stage(volume, secrets=server.secrets())
            answers.append("OK")
        except grpc.RpcError as error:
            answers.append(error.code().name)

    callers = [threading.Thread(target=stage) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert "OK" in answers and set(answers) <= {"OK", "ABORTED"}
    assert len(rclones(driver)) == 1
    assert len(layers(driver.staging("pvc-1"))) == 1
    write(f"{target}/a", TEXT)
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")


def test_an_unstage_while_a_recovery_runs_waits_its_turn(driver, server, volume, refused):
    driver.stage(volume, secrets=server.secrets())
    kill_rclone(driver)
    server.pause()
    stager = threading.Thread(target=stage_until_it_works, args=(driver, volume, server))
    stager.start()
    until("the stage asks S3", lambda: [rclone for worker in kernel.children(driver.process.pid)
                                        for rclone in kernel.children(worker)])
    with refused("ABORTED", "another operation"):
        driver.unstage("pvc-1")
    server.go_on()
    stager.join()
    driver.unstage("pvc-1")
    assert kernel.mount_at(driver.staging("pvc-1")) is None
    assert rclones(driver) == []


def test_driver_and_worker_killed_in_a_recovery(driver, server, volume):
    """At growing delays, so that each step of the recovery is the last one once."""
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume)

    def stage_and_be_killed():
        with contextlib.suppress(grpc.RpcError, ValueError):  # ValueError: of a closed channel
            driver.stage(volume, secrets=server.secrets())

    for delay in (0.05, 0.3, 0.7, 1.0, 1.3, 1.7):
        kill_rclone(driver)
        stager = threading.Thread(target=stage_and_be_killed)
        stager.start()
        time.sleep(delay)
        workers = kernel.children(driver.process.pid)
        driver.process.kill()
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        driver.kill()
        stager.join()
        driver.start()
        stage_until_it_works(driver, volume, server)
        assert len(rclones(driver)) == 1
        write(f"{target}/{delay}", TEXT)
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")
    names = Cli(server, "volumes/pvc-1/files", "pvc-1").names()
    assert len(names) == 7
