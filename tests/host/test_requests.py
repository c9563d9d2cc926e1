"""Requests that are refused before a kernel is needed: a clear error, and nothing changes on disk."""
import json
import os

import csi_pb2 as csi
import pytest
from driver import MODES, block_capability, mount_capability
from fixtures import tree

MI = 1 << 20


@pytest.fixture
def nothing_made(shared_driver):
    driver = shared_driver
    before = tree(f"{driver.base}/data") + tree(f"{driver.base}/state")
    yield
    assert tree(f"{driver.base}/data") + tree(f"{driver.base}/state") == before


@pytest.mark.parametrize("name, words", [
    ("", "name is missing"), ("x" * 129, "128"), ("../../etc/x", r"\.\."), ("a\nb", "control"),
    ("a\x00b", "NUL")])
def test_volume_names(shared_driver, refused, nothing_made, name, words):
    driver = shared_driver
    with refused("INVALID_ARGUMENT", words):
        driver.create(name)


@pytest.mark.parametrize("volume_id", ["", "x" * 129, "..", "a/../b", "a/b", "a\nb", "a\x00b",
                                       "a b", "\x7f"])
def test_volume_ids(shared_driver, refused, nothing_made, volume_id):
    driver = shared_driver
    path = f"{driver.kubelet}/x"
    for call in (lambda: driver.delete(volume_id), lambda: driver.expand(volume_id, MI),
                 lambda: driver.unstage(volume_id, path), lambda: driver.stats(volume_id, path),
                 lambda: driver.unpublish(volume_id, path=path),
                 lambda: driver.node_expand(volume_id, path)):
        with refused("INVALID_ARGUMENT", "volume.id"):
            call()


@pytest.mark.parametrize("parameters, words", [
    ({"fsTyp": "ext4"}, "'fsTyp'.*'fsType'"),
    ({"local_path": "/data"}, "'local_path'.*'local-path'"),
    ({"fsType": "btrfs"}, "btrfs.*ext4"),
    ({"local-path": "data"}, "local-path"),
    ({"local-path": "/"}, "local-path"),
    ({"local-path": "/a/../b"}, "local-path"),
    ({"local-path": "/proc/x"}, "local-path"),
    ({"local-path": "/etc"}, "local-path"),
    ({"local-path": "/var/lib/kubelet/x"}, "local-path"),
    ({"local-path": "/a\nb"}, "local-path"),
    ({"luks-pbkdf-iterations": "3"}, "luks-pbkdf-iterations.*4 to 1000"),
    ({"luks-pbkdf": "pbkdf2", "luks-pbkdf-iterations": "999"}, "1000 to 100000000"),
    ({"luks-cipher": "aes-cbc-essiv:sha256"}, "luks-cipher.*512.*256"),
    ({"fsGroup": "wheel"}, "fsGroup"),
    ({"fs-mode": "999"}, "fs-mode"),
    ({"allocation": "lazy"}, "allocation"),
    ({"luks-cipher": "rot13"}, "luks-cipher"),
    ({"luks-pbkdf-memory": "9Ti"}, "luks-pbkdf-memory"),
    ({"luks-key-size": "7"}, "luks-key-size"),
    ({"passphraseKey": "a b"}, "passphraseKey"),
    ({"s3-bucket": "abc"}, "s3-bucket.*local"),
    ({"storage-backend": "tape"}, "storage-backend"),
])
def test_parameters(shared_driver, refused, nothing_made, parameters, words):
    driver = shared_driver
    with refused("INVALID_ARGUMENT", words):
        driver.create_raw("pvc-p", {"local-path": driver.data, **parameters})


@pytest.mark.parametrize("size, limit, code", [
    (0, 0, "INVALID_ARGUMENT"), (-1, 0, "INVALID_ARGUMENT"), (2 * MI, MI, "INVALID_ARGUMENT"),
    (1 << 62, 0, "OUT_OF_RANGE"), (1 << 45, 0, "RESOURCE_EXHAUSTED")])
@pytest.mark.parametrize("allocation", ["thick", "thin"])
def test_sizes(shared_driver, refused, nothing_made, size, limit, code, allocation):
    driver = shared_driver
    with refused(code, "bytes|zero|negative"):
        driver.create("pvc-size", size, limit=limit, allocation=allocation)


def test_xfs_needs_300_mib(shared_driver, refused, nothing_made):
    driver = shared_driver
    with refused("OUT_OF_RANGE", "xfs.*300"):
        driver.create("pvc-x", 200 * MI, mount_capability("xfs"))


def test_capabilities(shared_driver, refused, nothing_made):
    driver = shared_driver
    def create(*capabilities):
        driver.controller.CreateVolume(csi.CreateVolumeRequest(
            name="pvc-c", parameters={"local-path": driver.data},
            volume_capabilities=capabilities), timeout=60)
    with refused("INVALID_ARGUMENT", "capabilit.*missing"):
        create()
    with refused("INVALID_ARGUMENT", "neither"):
        create(csi.VolumeCapability())
    with refused("INVALID_ARGUMENT", "access mode"):
        create(mount_capability(mode=MODES.UNKNOWN))
    with refused("INVALID_ARGUMENT", "ntfs"):
        create(mount_capability("ntfs"))
    with refused("INVALID_ARGUMENT", "both"):
        create(mount_capability(), block_capability())


def test_the_driver_s_own_folders_take_no_volumes(shared_driver, refused, nothing_made):
    driver = shared_driver
    for path in (f"{driver.base}/state", f"{driver.base}/run/x", f"{driver.kubelet}/y"):
        with refused("INVALID_ARGUMENT", "a folder of its own"):
            driver.create("pvc-in", local_path=path)
    with refused("INVALID_ARGUMENT", "--state-dir"):
        driver.create("state", local_path=driver.base)


def test_a_limit_below_the_size_cannot_be_met(shared_driver, refused):
    driver = shared_driver
    driver.create("pvc-lim", 64 * MI)
    request = csi.ControllerExpandVolumeRequest(volume_id="pvc-lim")
    request.capacity_range.required_bytes, request.capacity_range.limit_bytes = 20 * MI, 32 * MI
    with refused("OUT_OF_RANGE", "limit"):
        driver.controller.ControllerExpandVolume(request, timeout=60)
    assert driver.expand("pvc-lim", 20 * MI).capacity_bytes == 64 * MI
    driver.delete("pvc-lim")


def test_validation_compares_all(shared_driver):
    driver = shared_driver
    made = driver.create("pvc-val", capability=mount_capability("ext3"))
    ours = {key: made.volume_context[key] for key in ("local-path", "luks-pbkdf", "luks-pbkdf-iterations")}

    def confirmed(parameters=None, context=None, capability=None):
        answer = driver.controller.ValidateVolumeCapabilities(
            csi.ValidateVolumeCapabilitiesRequest(
                volume_id="pvc-val", parameters=parameters or {}, volume_context=context or {},
                volume_capabilities=[capability or mount_capability()]), timeout=60)
        assert answer.HasField("confirmed") or answer.message
        return answer.HasField("confirmed")
    assert confirmed() and confirmed(ours) and confirmed(ours, made.volume_context)
    assert confirmed(ours, {**made.volume_context, "storage.kubernetes.io/csiProvisionerIdentity": "x"})
    assert not confirmed({**ours, "fsType": "xfs"})
    assert not confirmed({**ours, "luks-key-size": "256"})
    assert not confirmed(context={"local-path": "/other"})
    assert not confirmed(capability=mount_capability("xfs"))
    driver.delete("pvc-val")


def test_capacity_is_that_of_the_class(driver):
    def capacity(fs="", **parameters):
        return driver.controller.GetCapacity(csi.GetCapacityRequest(
            parameters={"local-path": driver.data, **parameters},
            volume_capabilities=[mount_capability(fs)]), timeout=60)
    assert capacity().available_capacity > 0
    assert capacity().minimum_volume_size.value < 300 * MI == capacity("xfs").minimum_volume_size.value
    assert capacity(**{"local-path": f"{driver.base}/state"}).available_capacity == 0


def test_a_volume_that_the_store_lost_is_deleted(driver, refused):
    other = f"{driver.base}/other"
    for name, path in (("pvc-known", other), ("pvc-lost", other)):
        driver.create(name, local_path=path)
    os.unlink(f"{driver.base}/state/volumes/pvc-lost.json")
    driver.delete("pvc-lost")
    assert os.listdir(other) == ["pvc-known"]
    # An image that has no record was not made by us: its name alone is no reason.
    os.makedirs(f"{other}/pvc-go")
    with open(f"{other}/pvc-go/luks-pvc-go.img", "wb") as image:
        image.write(b"LUKS")
    with refused("FAILED_PRECONDITION", "record volume.json is missing"):
        driver.delete("pvc-go")
    assert os.path.exists(f"{other}/pvc-go/luks-pvc-go.img")
    driver.delete("pvc-known")


def test_a_failed_create_leaves_no_ghost(driver, refused):
    """The store knows it, the image was never made, and the disk has become too small."""
    driver.create("pvc-ghost")
    store = f"{driver.base}/state/volumes/pvc-ghost.json"
    with open(store, encoding="utf-8") as text:
        record = json.load(text)
    driver.delete("pvc-ghost")
    record.update(state="creating", capacityBytes=1 << 45)
    with open(store, "w", encoding="utf-8") as text:
        json.dump(record, text)
    with refused("RESOURCE_EXHAUSTED", "no space"):
        driver.create("pvc-ghost", 1 << 45)
    assert not os.path.exists(store) and not os.path.exists(f"{driver.data}/pvc-ghost")
