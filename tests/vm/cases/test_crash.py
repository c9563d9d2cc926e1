# time limit: 900
"""Nothing that happens to the driver or a worker reaches the data."""
import os
import signal
import subprocess
import sys
import threading
import time

import csi_pb2 as csi
import grpc
import kernel
import pytest
from cost import assert_probe_answers
from driver import until

MI = 1 << 20
WRITER = """
import os, sys
out = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
count = 0
while not os.path.exists(sys.argv[2]):
    os.write(out, b"%08d\\n" % count)
    if count % 16 == 0:
        os.fsync(out)
    count += 1
print(count)
"""


def test_u10_a_writer_sees_nothing_of_kill_9(driver):
    volume = driver.create("pvc-w")
    driver.stage(volume)
    target = driver.publish(volume)
    stop = f"{driver.base}/stop"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, f"{target}/log", stop],
                              stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        size = os.path.getsize(f"{target}/log") if os.path.exists(f"{target}/log") else 0
        driver.restart()
        until("the writer goes on", lambda: os.path.exists(f"{target}/log")
              and os.path.getsize(f"{target}/log") > size)
        assert driver.probe()
    driver.node_expand("pvc-w", target)
    open(stop, "w", encoding="ascii").close()
    count = int(writer.communicate(timeout=60)[0])
    assert writer.returncode == 0 and count > 0
    with open(f"{target}/log", encoding="ascii") as log:
        assert log.read() == "".join(f"{n:08d}\n" for n in range(count))
    driver.unpublish("pvc-w")
    driver.unstage("pvc-w")
    driver.delete("pvc-w")


@pytest.mark.parametrize("allocation", ["thick", "thin"])
def test_an_expansion_killed_before_its_record(driver, allocation):
    """The image has grown and its record does not say so: as a kill between fallocate and the record
    leaves it. Staged, tried again, or deleted: each works without the others."""
    def free():
        return driver.controller.GetCapacity(csi.GetCapacityRequest(
            parameters={"local-path": driver.data}), timeout=60).available_capacity

    def leave_grown(name):
        kernel.run(*(("fallocate", "-l") if allocation == "thick" else ("truncate", "-s")), str(80 * MI),
                   driver.image(name))

    def capacity(name):
        answer = driver.controller.ControllerGetVolume(
            csi.ControllerGetVolumeRequest(volume_id=name), timeout=60)
        assert not answer.status.volume_condition.abnormal, answer
        return answer.volume.capacity_bytes

    before = free()
    staged, never = (driver.create(name, allocation=allocation) for name in ("pvc-killed", "pvc-never"))
    driver.stage(staged)
    with open(f"{driver.staging('pvc-killed')}/file", "w", encoding="ascii") as out:
        out.write("kept")
    driver.unstage("pvc-killed")
    for name in ("pvc-killed", "pvc-never"):
        leave_grown(name)
        assert capacity(name) == 32 * MI
    if allocation == "thick":  # what is taken counts, whatever the records say; 16 MiB is a header backup
        assert 175 * MI < before - free() < 186 * MI

    target = driver.target("pvc-killed")
    driver.stage(staged)
    driver.publish(staged)
    with open(f"{target}/file", encoding="ascii") as text:
        assert text.read() == "kept"
    size = os.statvfs(target)
    assert 50 * MI < size.f_blocks * size.f_frsize == driver.stats("pvc-killed", target).usage[0].total
    assert capacity("pvc-killed") == 32 * MI
    for _ in range(2):
        assert driver.expand("pvc-killed", 64 * MI).capacity_bytes == 64 * MI
        assert driver.node_expand("pvc-killed", target).capacity_bytes == 64 * MI
    assert capacity("pvc-killed") == 64 * MI and os.path.getsize(driver.image("pvc-killed")) == 80 * MI
    driver.unpublish("pvc-killed")
    driver.unstage("pvc-killed")
    for name in ("pvc-killed", "pvc-never"):
        driver.delete(name)
    assert os.listdir(driver.data) == [] and abs(before - free()) < 4 * MI


def test_sigterm_leaves_mounts_and_ends_with_0(driver):
    volume = driver.create("pvc-t")
    driver.stage(volume)
    target = driver.publish(volume)
    assert driver.stop() == 0
    assert not os.path.exists(driver.socket)
    assert kernel.mount_at(target)
    driver.start()
    driver.unpublish("pvc-t")
    driver.unstage("pvc-t")
    driver.delete("pvc-t")


def in_background(call):
    result = []

    def body():
        try:
            call()
            result.append("OK")
        except grpc.RpcError as error:
            result.append(error)
    thread = threading.Thread(target=body)
    thread.start()
    return thread, result


@pytest.mark.parametrize("delay_ms", [20, 100, 300, 600, 1000, 1500])
def test_a_worker_killed_in_its_first_stage(driver, delay_ms):
    volume = driver.create_raw("pvc-k", {"local-path": driver.data}, 32 << 20)
    thread, result = in_background(lambda: driver.stage(volume))
    until("a worker runs", lambda: kernel.children(driver.process.pid) or result)
    time.sleep(delay_ms / 1000)
    for worker in kernel.children(driver.process.pid):
        os.kill(worker, signal.SIGKILL)
    thread.join(240)
    if result[0] != "OK":
        assert result[0].code().name == "INTERNAL" and "signal 9" in result[0].details()
    driver.stage(volume)
    uuid = kernel.luks_uuid(driver.image("pvc-k"))
    assert list(kernel.mappings()).count("luks-pvc-k") == 1
    driver.unstage("pvc-k")
    driver.stage(volume)
    assert kernel.luks_uuid(driver.image("pvc-k")) == uuid
    driver.unstage("pvc-k")
    driver.delete("pvc-k")


def test_one_operation_at_a_time_also_across_a_restart(driver, refused):
    volume = driver.create_raw("pvc-one", {"local-path": driver.data}, 32 << 20)
    thread, result = in_background(lambda: driver.stage(volume))
    until("a worker runs", lambda: kernel.children(driver.process.pid))
    (worker,) = kernel.children(driver.process.pid)
    time.sleep(0.3)
    os.kill(worker, signal.SIGSTOP)
    with refused("ABORTED", "pvc-one"):
        driver.delete("pvc-one")
    driver.kill()
    thread.join(60)
    driver.start()
    with refused("ABORTED", "pvc-one"):
        driver.stage(volume)
    os.kill(worker, signal.SIGCONT)
    until("the old worker ends", lambda: not os.path.exists(f"/proc/{worker}"), 60)
    driver.stage(volume)
    driver.unstage("pvc-one")
    driver.delete("pvc-one")


def test_u15_hung_workers_do_not_stop_probe(driver, refused):
    volumes = [driver.create(f"pvc-h{n}") for n in range(4)]
    stopped = []
    threads = []
    for round_ in range(8):
        for volume in volumes:
            threads.append(in_background(
                lambda v=volume: driver.stage(v, timeout=60)))
    end = time.monotonic() + 30
    while time.monotonic() < end and any(t.is_alive() for t, _ in threads):
        for worker in kernel.children(driver.process.pid):
            if worker not in stopped:
                try:
                    os.kill(worker, signal.SIGSTOP)
                    stopped.append(worker)
                except ProcessLookupError:
                    pass
        if len(stopped) >= 4 and not set(kernel.children(driver.process.pid)) - set(stopped):
            break
    assert_probe_answers(driver)
    for worker in stopped:
        try:
            os.kill(worker, signal.SIGCONT)
        except ProcessLookupError:
            pass
    for thread, _ in threads:
        thread.join(240)
    for volume in volumes:
        driver.stage(volume)
        driver.unstage(volume.volume_id)
        driver.delete(volume.volume_id)


def test_u15_a_suspended_device_hangs_only_its_own_volume(driver, refused):
    first, second = driver.create("pvc-s1"), driver.create("pvc-s2")
    driver.stage(first)
    with open(f"{driver.staging('pvc-s1')}/dirty", "w", encoding="ascii") as out:
        out.write("x" * 100000)
    kernel.run("dmsetup", "suspend", "--noflush", "--nolockfs", "luks-pvc-s1")
    try:
        with refused("DEADLINE_EXCEEDED"):
            driver.unstage("pvc-s1", timeout=3)
        with refused("ABORTED", "pvc-s1"):
            driver.unstage("pvc-s1", timeout=30)
        assert driver.probe()
        driver.stage(second)
        driver.unstage("pvc-s2")
    finally:
        kernel.run("dmsetup", "resume", "luks-pvc-s1")
    until("the hung worker ends", lambda: not kernel.children(driver.process.pid), 60)
    driver.unstage("pvc-s1")
    driver.delete("pvc-s1")
    driver.delete("pvc-s2")
