"""Requests that are refused before a kernel is needed: a clear error, and nothing changes on disk."""
import os

import csi_pb2 as csi
import pytest
from driver import MODES, block_capability, mount_capability

MI = 1 << 20


def tree(path):
    return sorted(os.path.join(folder, name) for folder, folders, files in os.walk(path)
                  for name in folders + files)


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
