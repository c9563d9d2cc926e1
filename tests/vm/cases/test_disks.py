# time limit: 300
"""A failing disk below a volume: nothing is ever formatted for it, the error says what was seen,
the volume's condition gives the reason, and all is well when the disk is back."""
import json
import os
import re
import time

import csi_pb2 as csi
import grpc
import kernel
import pytest
from disk import CORRUPT, DROP_WRITES, ERROR, ERROR_WRITES, ZERO, Disk, delayed, extents
from driver import mount_capability, until
from fixtures import folder, running_driver

MI = 1 << 20
HEADER = 16 * MI
SIZES = {"ext4": 32 * MI, "xfs": 304 * MI}


@pytest.fixture(scope="module")
def place():
    """One driver and one disk for all tests; each has a volume of its own."""
    with folder() as base, running_driver(f"{base}/driver") as driver:
        driver.disk = Disk(base, "lcw-disk")
        driver.data = f"{driver.disk.path}/data"
        yield driver
        driver.disk.remove()


def facts(driver, name):
    """What may never change: the record, and the UUID of the LUKS header."""
    with open(driver.record(name), encoding="utf-8") as text:
        record = json.load(text)
    return record["state"], record["luksUUID"], record["fsUUID"], kernel.luks_uuid(driver.image(name))


def condition(driver, name):
    return driver.controller.ControllerGetVolume(
        csi.ControllerGetVolumeRequest(volume_id=name), timeout=60).status.volume_condition


def write(path):
    with open(path, "wb") as out:
        out.write(b"precious" * 100000)
        os.fsync(out.fileno())


class Kept:
    """A formatted volume with data, closed. After every fault it must open and hold its data."""

    def __init__(self, driver, fs):
        self.driver, self.fs, self.name = driver, fs, f"pvc-{fs}"
        self.capability = mount_capability(fs)
        self.volume = driver.create(self.name, SIZES[fs], self.capability, fsType=fs)
        self.stage()
        write(f"{driver.staging(self.name)}/precious")
        driver.unstage(self.name)
        self.before = facts(driver, self.name)
        self.image = driver.image(self.name)

    def stage(self, **options):
        self.driver.stage(self.volume, self.capability, **options)

    def check(self):
        self.stage()
        with open(f"{self.driver.staging(self.name)}/precious", "rb") as content:
            assert content.read() == b"precious" * 100000
        assert not condition(self.driver, self.name).abnormal
        self.driver.unstage(self.name)
        assert facts(self.driver, self.name) == self.before and self.before[0] == "formatted"


@pytest.fixture(scope="module")
def volumes(place):
    all_kept = {fs: Kept(place, fs) for fs in SIZES}
    yield all_kept
    for name in all_kept:
        place.delete(all_kept[name].name)


@pytest.fixture(params=SIZES)
def kept(volumes, request):
    yield volumes[request.param]
    volumes[request.param].check()


@pytest.mark.parametrize("kept", ["ext4"], indirect=True)
@pytest.mark.parametrize("fault, words", [
    (ERROR, "cannot read|Input/output error"),
    (ZERO, "no LUKS header.*overwritten"),
    (CORRUPT, "damaged"),
], ids=["error", "zeroes", "corrupt"])
def test_u01_a_header_that_cannot_be_read_is_never_made_anew(place, kept, refused, fault, words):
    with place.disk.fault(fault, extents(kept.image, 0, HEADER)):
        for _ in range(2):
            with refused("FAILED_PRECONDITION|INTERNAL", words) as refusal:
                kept.stage()
            print(refusal.sentence)
            assert f"luks-{kept.name}" not in kernel.mappings()


@pytest.mark.parametrize("fault, words", [
    (ERROR, "cannot read|Input/output error"),
    (ZERO, "should hold an? '.*' file system, but .* not formatted"),
], ids=["error", "zeroes"])
def test_u01_a_file_system_that_cannot_be_read_is_never_made_anew(place, kept, refused, fault, words):
    with place.disk.fault(fault, extents(kept.image, HEADER, HEADER + MI)):
        with refused("FAILED_PRECONDITION|INTERNAL", words) as refusal:
            kept.stage()
        print(refusal.sentence)
        assert f"luks-{kept.name}" not in kernel.mappings()


def test_a_first_stage_on_a_bad_disk_goes_on_when_it_is_back(place, refused):
    volume = place.create("pvc-new")
    for fault in (ERROR, DROP_WRITES):
        with place.disk.fault(fault, extents(place.image("pvc-new"), 0, HEADER)):
            with refused("FAILED_PRECONDITION|INTERNAL", ".") as refusal:
                place.stage(volume)
            print(refusal.sentence)
            assert "luks-pvc-new" not in kernel.mappings()
    place.stage(volume)
    place.unstage("pvc-new")
    assert facts(place, "pvc-new")[0] == "formatted"
    place.delete("pvc-new")


def tells(driver, kept, target, words):
    """The pod goes on, as pods do; whether both answers give the reason then."""
    try:
        write(f"{target}/new")
    except OSError:
        pass
    found = condition(driver, kept.name), driver.stats(kept.name, target).volume_condition
    return all(one.abnormal and re.search(words, one.message) for one in found)


def test_a_disk_that_cannot_be_read_makes_the_condition_abnormal(place, kept):
    kept.stage()
    target = place.publish(kept.volume, kept.capability)
    with place.disk.fault(ERROR, extents(kept.image, HEADER)):
        until("the condition tells", lambda: tells(place, kept, target, "cannot be read|errors"), 20)
    place.unpublish(kept.name)
    place.unstage(kept.name)


def test_writes_that_fail_cost_only_themselves(place, kept):
    kept.stage()
    target = place.publish(kept.volume, kept.capability)
    assert not place.stats(kept.name, target).volume_condition.abnormal
    with place.disk.fault(ERROR_WRITES, extents(kept.image, HEADER)):
        with pytest.raises(OSError):
            write(f"{target}/new")
        until("the condition tells",
              lambda: tells(place, kept, target, "read-only|counted .* errors|cannot be read"), 30)
        place.unpublish(kept.name)
        place.unstage(kept.name)


@pytest.mark.parametrize("kept", ["ext4"], indirect=True)
def test_writes_that_are_dropped_cost_only_themselves(place, kept):
    kept.stage()
    with place.disk.fault(DROP_WRITES, extents(kept.image, HEADER)):
        write(f"{place.staging(kept.name)}/lost")
        place.unstage(kept.name)


@pytest.mark.parametrize("kept", ["ext4"], indirect=True)
def test_a_slow_disk_costs_time_and_nothing_else(place, kept, refused):
    def staged():
        try:
            kept.stage()
            return True
        except grpc.RpcError as error:
            assert error.code().name == "ABORTED", error.details()
            return False
    with place.disk.fault(delayed(200), extents(kept.image)):
        with refused("DEADLINE_EXCEEDED"):
            kept.stage(timeout=0.5)
        with refused("ABORTED", kept.name):
            kept.stage()
        begin = time.monotonic()
        assert place.probe()
        assert time.monotonic() - begin < 1
        until("the stage ends", staged, 120)
    assert list(kernel.mappings()).count(f"luks-{kept.name}") == 1
    place.unstage(kept.name)


@pytest.mark.parametrize("kept", ["ext4"], indirect=True)
def test_a_disk_that_is_gone_is_told_and_comes_back(place, kept, refused):
    bad = "Input/output error|cannot|Read-only"
    with place.disk.fault(ERROR):
        for call in (kept.stage, lambda: place.create("pvc-never"), lambda: place.delete(kept.name)):
            with refused("INTERNAL|FAILED_PRECONDITION|RESOURCE_EXHAUSTED", bad) as refusal:
                call()
            print(refusal.sentence)
        assert place.probe()
        assert f"luks-{kept.name}" not in kernel.mappings()
    place.disk.repair()
    place.create("pvc-never")
    place.delete("pvc-never")
