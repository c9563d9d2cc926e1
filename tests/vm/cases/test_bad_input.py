# time limit: 900
"""Bad input: a clear error that names the thing, and nothing changes on disk."""
import json
import os
import shutil
import subprocess

import csi_pb2 as csi
import kernel
import luks2
import pytest
from driver import Driver, mount_capability
from fixtures import tree

MI = 1 << 20


@pytest.fixture
def volume(driver):
    """Formatted, with data in it, and not staged."""
    one = driver.create("pvc-1")
    driver.stage(one)
    with open(f"{driver.staging('pvc-1')}/f", "w", encoding="ascii") as out:
        out.write("precious")
    driver.unstage("pvc-1")
    return one


@pytest.fixture
def files(driver):
    return driver.image("pvc-1"), driver.record("pvc-1")


@pytest.mark.parametrize("secrets, code, words", [
    ({}, "INVALID_ARGUMENT", "'passphrase'"),
    ({"other": "x"}, "INVALID_ARGUMENT", "'passphrase'"),
    ({"passphrase": ""}, "INVALID_ARGUMENT", "empty"),
    ({"passphrase": "wrong"}, "FAILED_PRECONDITION",
     r"passphrase does not open volume 'pvc-1' \(was the Secret changed\?\)")])
def test_passphrases(driver, refused, unchanged, volume, files, secrets, code, words):
    with unchanged(*files), refused(code, words) as error:
        driver.stage(volume, secrets=secrets)
    assert "wrong" not in error.sentence


def test_the_key_of_the_secret_is_the_class_s(driver, refused):
    volume = driver.create("pvc-key", passphraseKey="encryption-key")
    with refused("INVALID_ARGUMENT", "'encryption-key'"):
        driver.stage(volume, secrets={"passphrase": "x"})
    driver.stage(volume, secrets={"encryption-key": "ä ü\n"})
    driver.unstage("pvc-key")
    with refused("FAILED_PRECONDITION", "passphrase"):
        driver.stage(volume, secrets={"encryption-key": "ä ü"})
    driver.delete("pvc-key")


def test_u22_staging_paths(driver, refused, unchanged, volume, files):
    kubelet, outside = driver.kubelet, f"{driver.base}/outside"
    os.mkdir(outside)
    open(f"{kubelet}/file", "w", encoding="ascii").close()
    os.symlink(outside, f"{kubelet}/link")
    os.mkdir(f"{kubelet}/real")
    os.symlink(f"{kubelet}/real", f"{kubelet}/inside")
    os.symlink("real", f"{kubelet}/near")
    os.mkdir(f"{kubelet}/busy")
    kernel.run("mount", "-t", "tmpfs", "none", f"{kubelet}/busy")
    try:
        for path, code, words in [
                ("", "INVALID_ARGUMENT", "staging path is missing"),
                ("relative", "INVALID_ARGUMENT", "absolute"),
                (outside, "INVALID_ARGUMENT", "outside of kubelet"),
                (kubelet, "INVALID_ARGUMENT", "itself"),
                (f"{kubelet}/a/../b", "INVALID_ARGUMENT", r"\.\."),
                (f"{kubelet}/a\nb", "INVALID_ARGUMENT", "control"),
                (f"{kubelet}/a\x00b", "INVALID_ARGUMENT", "NUL"),
                (f"{kubelet}/" + "x" * 5000, "INVALID_ARGUMENT", "4096|long"),
                (f"{kubelet}/file", "INVALID_ARGUMENT", "not a directory"),
                (f"{kubelet}/link", "INVALID_ARGUMENT", "symbolic link"),
                (f"{kubelet}/link/below", "INVALID_ARGUMENT", "symbolic link"),
                (f"{kubelet}/inside/below", "INVALID_ARGUMENT", "symbolic link"),
                (f"{kubelet}/near/below", "INVALID_ARGUMENT", "symbolic link"),
                (f"{kubelet}/busy", "FAILED_PRECONDITION", "something else")]:
            request = csi.NodeStageVolumeRequest(
                volume_id="pvc-1", staging_target_path=path, volume_capability=mount_capability(),
                secrets={"passphrase": "correct horse"}, volume_context=volume.volume_context)
            with unchanged(*files), refused(code, words):
                driver.nodes.NodeStageVolume(request, timeout=60)
            assert "luks-pvc-1" not in kernel.mappings()
        with refused("FAILED_PRECONDITION", "something else"):
            driver.unstage("pvc-1", f"{kubelet}/busy")
        assert os.listdir(outside) == [] and os.listdir(f"{kubelet}/real") == []
    finally:
        kernel.run("umount", f"{kubelet}/busy")
    driver.delete("pvc-1")


def test_u22_publish_without_stage(driver, refused, volume):
    with refused("FAILED_PRECONDITION", "not staged"):
        driver.publish(volume)
    assert not os.path.exists(driver.target("pvc-1"))
    driver.stage(volume)
    os.mkdir(f"{driver.kubelet}/bare")
    with refused("FAILED_PRECONDITION", "not mounted at the staging path"):
        driver.publish(volume, staging=f"{driver.kubelet}/bare")
    driver.unstage("pvc-1")
    driver.unstage("never-staged", f"{driver.kubelet}/bare")
    with refused("NOT_FOUND"):
        driver.stats("pvc-1", driver.staging("pvc-1"))
    driver.delete("pvc-1")


def overwrite(path, at, content):
    with open(path, "r+b") as out:
        out.seek(at)
        out.write(content)


def truncate(image, _record):
    os.truncate(image, 20 * MI)


def zero_header(image, _record):
    overwrite(image, 0, bytes(16 * MI))


def ext4_over_header(image, _record):
    kernel.run("mkfs.ext4", "-q", "-F", image)


def damage_primary(image, _record):
    overwrite(image, 0x1100, b"garbage")


def damage_secondary(image, _record):
    overwrite(image, 0x4000 + 0x1100, b"garbage")


def lose_primary(image, _record):
    overwrite(image, 0, bytes(4096))


def lose_secondary(image, _record):
    overwrite(image, 0x4000, bytes(4096))


def older_secondary(image, _record):
    luks2.age(image, 1, -1)


def older_primary(image, _record):
    luks2.age(image, 0, -1)


def begin_to_reencrypt(image, _record):
    kernel.run("cryptsetup", "reencrypt", "--init-only", "--batch-mode", "--key-file", "-", "--pbkdf", "pbkdf2",
               "--pbkdf-force-iterations", "1000", image, input="correct horse")


def require_what_nobody_knows(image, _record):
    luks2.require(image, "from-the-year-2040")


def other_uuid(image, _record):
    kernel.run("cryptsetup", "luksUUID", "--batch-mode", "--uuid",
               "11111111-2222-3333-4444-555555555555", image)


def lose_image(image, _record):
    os.rename(image, image + ".away")


def lose_record(_image, record):
    os.remove(record)


def corrupt_record(_image, record):
    with open(record, "w", encoding="ascii") as out:
        out.write('{"version": 1, "volumeId"')


def empty_record(_image, record):
    os.truncate(record, 0)


def foreign_record(_image, record):
    with open(record, encoding="ascii") as content:
        fields = json.load(content)
    fields["volumeId"] = "pvc-2"
    with open(record, "w", encoding="ascii") as out:
        json.dump(fields, out)


def foreign_uuid_in_record(_image, record):
    with open(record, encoding="ascii") as content:
        fields = json.load(content)
    fields["luksUUID"] = "11111111-2222-3333-4444-555555555555"
    with open(record, "w", encoding="ascii") as out:
        json.dump(fields, out)


def test_a_header_that_requires_something_is_not_changed(driver, refused, unchanged, volume, files):
    """Nor by a change of the passphrase, nor by an adoption; without the requirement all is as before."""
    luks2.require(files[0], "from-the-year-2040")
    with unchanged(*files), refused("FAILED_PRECONDITION", "'from-the-year-2040'"):
        driver.stage(volume, secrets={"passphrase": "new", "passphrase-previous": "correct horse"})
    os.rename(files[1], f"{driver.base}/record")
    os.rename(f"{driver.base}/state/volumes/pvc-1.json", f"{driver.base}/known")
    with refused("FAILED_PRECONDITION", "'from-the-year-2040'"):
        driver.stage(volume)
    assert not os.path.exists(files[1])
    os.rename(f"{driver.base}/record", files[1])
    os.rename(f"{driver.base}/known", f"{driver.base}/state/volumes/pvc-1.json")
    luks2.require(files[0])
    driver.stage(volume)
    with open(f"{driver.staging('pvc-1')}/f", encoding="ascii") as text:
        assert text.read() == "precious"
    driver.unstage("pvc-1")
    driver.delete("pvc-1")


@pytest.mark.parametrize("damage, words", [
    (truncate, "truncated"), (zero_header, "no LUKS header"), (ext4_over_header, "header"),
    (damage_primary, "primary.*damaged"), (damage_secondary, "secondary.*damaged"),
    (lose_primary, "primary.*gone"), (lose_secondary, "secondary.*gone"),
    (older_secondary, "different age.*restore-header"), (older_primary, "different age.*restore-header"),
    (begin_to_reencrypt, "requires 'online-reencrypt.*not complete.*cryptsetup reencrypt --resume-only"),
    (require_what_nobody_knows, "requires 'from-the-year-2040'.*does not know.*copy the data"),
    (other_uuid, "UUID"), (lose_image, "does not exist"), (lose_record, "record.*missing"),
    (corrupt_record, "JSON"), (empty_record, "JSON"), (foreign_record, "pvc-2"),
    (foreign_uuid_in_record, "UUID")])
def test_u01_damage_is_reported_and_nothing_is_written(driver, refused, unchanged, volume, files,
                                                       damage, words):
    damage(*files)
    with unchanged(*files):
        for _ in range(2):
            with refused("FAILED_PRECONDITION", words):
                driver.stage(volume)
        request = csi.CreateVolumeRequest(
            name="pvc-1", parameters={k: v for k, v in volume.volume_context.items()},
            capacity_range=csi.CapacityRange(required_bytes=32 * MI),
            volume_capabilities=[mount_capability()])
        try:
            driver.controller.CreateVolume(request, timeout=60)
        except Exception as error:  # an answer either way, but never a new image
            assert error.code().name in ("FAILED_PRECONDITION", "ALREADY_EXISTS")
    assert "luks-pvc-1" not in kernel.mappings()


def test_u18_a_mapping_of_our_name_that_is_something_else(driver, refused, unchanged, volume, files):
    kernel.run("truncate", "-s", "32M", f"{driver.base}/other")
    kernel.run("cryptsetup", "luksFormat", "--batch-mode", "--pbkdf", "pbkdf2",
               "--pbkdf-force-iterations", "1000", "--key-file", "-", f"{driver.base}/other",
               input="x")
    kernel.run("cryptsetup", "open", "--key-file", "-", f"{driver.base}/other", "luks-pvc-1", input="x")
    try:
        with unchanged(*files), refused("FAILED_PRECONDITION", "LUKS UUID"):
            driver.stage(volume)
        with refused("FAILED_PRECONDITION"):
            driver.delete("pvc-1")
    finally:
        kernel.run("cryptsetup", "close", "luks-pvc-1")
    driver.delete("pvc-1")


def test_u18_a_mapping_of_our_name_on_a_copy_of_the_image(driver, refused, unchanged, volume, files):
    """A backup that somebody opened: the passphrase and the LUKS UUID are ours, the data are older."""
    copy = f"{driver.base}/copy"
    shutil.copyfile(files[0], copy)
    kernel.run("cryptsetup", "open", "--key-file", "-", copy, "luks-pvc-1", input="correct horse")
    try:
        with unchanged(*files, copy), refused("FAILED_PRECONDITION", "not backed by this volume's image"):
            driver.stage(volume)
    finally:
        kernel.run("cryptsetup", "close", "luks-pvc-1")
    driver.stage(volume)
    driver.unstage("pvc-1")
    driver.delete("pvc-1")


def test_u18_an_image_that_somebody_attached(driver, refused, unchanged, volume, files):
    loop = kernel.run("losetup", "--show", "-f", files[0]).strip()
    try:
        with unchanged(*files), refused("FAILED_PRECONDITION", loop):
            driver.stage(volume)
        with refused("FAILED_PRECONDITION", loop):
            driver.delete("pvc-1")
    finally:
        kernel.run("losetup", "-d", loop)
    driver.delete("pvc-1")


@pytest.fixture
def small_disk(driver):
    """A file system of 96 MiB for local-path."""
    path = f"{driver.base}/small"
    image = f"{driver.base}/small.img"
    os.mkdir(path)
    kernel.run("truncate", "-s", "96M", image)
    kernel.run("mkfs.ext4", "-q", "-F", "-O", "quota", "-E", "quotatype=usrquota", image)
    kernel.run("mount", "-o", "loop,usrquota", image, path)
    yield path
    kernel.run("umount", path)


def size_and_record(local_path, volume):
    with open(f"{local_path}/{volume}/volume.json", encoding="utf-8") as record:
        return os.path.getsize(f"{local_path}/{volume}/luks-{volume}.img"), record.read()


@pytest.mark.parametrize("allocation", ["thick", "thin"])
def test_a_full_disk_leaves_nothing_behind(driver, refused, small_disk, allocation):
    local_path = f"{small_disk}/data"
    os.mkdir(local_path)
    with refused("RESOURCE_EXHAUSTED", "pvc-big|space"):
        driver.create("pvc-big", 200 * MI, local_path=local_path, allocation=allocation)
    assert tree(local_path) == [] and os.listdir(f"{driver.base}/state/volumes") == []
    driver.create("pvc-fits", 24 * MI, local_path=local_path, allocation=allocation)
    before = size_and_record(local_path, "pvc-fits")
    with refused("RESOURCE_EXHAUSTED"):
        driver.expand("pvc-fits", 200 * MI)
    assert size_and_record(local_path, "pvc-fits") == before
    driver.delete("pvc-fits")


def test_a_quota_leaves_nothing_behind(driver, refused, small_disk):
    local_path = f"{small_disk}/data"
    os.mkdir(local_path)
    # Quotas do not bind root with CAP_SYS_RESOURCE, so the driver runs without it here.
    limited = Driver(f"{driver.base}/limited", "/sbin/capsh" if os.path.exists("/sbin/capsh")
                     else "/usr/bin/setpriv")
    command = [driver.binary, *Driver.command(limited)[1:]]
    limited.command = lambda: ["setpriv", "--bounding-set", "-sys_resource", "--inh-caps",
                               "-sys_resource", *command]
    kernel.run("setquota", "-u", "0", "0", "40960", "0", "0", small_disk)
    limited.start()
    try:
        limited.data = local_path
        with refused("RESOURCE_EXHAUSTED"):
            limited.create("pvc-q", 32 * MI)
        assert tree(local_path) == []
        limited.create("pvc-q", 16 * MI)
        before = size_and_record(local_path, "pvc-q")
        with refused("RESOURCE_EXHAUSTED"):
            limited.expand("pvc-q", 32 * MI)
        assert size_and_record(local_path, "pvc-q") == before
        limited.delete("pvc-q")
    finally:
        assert limited.stop() == 0


def test_u22_local_path_through_a_symbolic_link(driver, refused):
    os.makedirs(f"{driver.base}/real")
    os.symlink(f"{driver.base}/real", f"{driver.base}/way")
    with refused("FAILED_PRECONDITION", "symbolic link"):
        driver.create("pvc-l", local_path=f"{driver.base}/way/data")
    assert os.listdir(f"{driver.base}/real") == []
    assert os.listdir(f"{driver.base}/state/volumes") == []


def test_allow_path_narrows(driver, refused):
    narrow = Driver(f"{driver.base}/narrow", driver.binary,
                    options=[f"--allow-path={driver.base}/allowed"]).start()
    try:
        with refused("INVALID_ARGUMENT", "--allow-path"):
            narrow.create("pvc-n")
        narrow.create("pvc-n", local_path=f"{driver.base}/allowed/x")
        narrow.delete("pvc-n")
        with refused("INVALID_ARGUMENT", "kubelet"):
            driver.create("pvc-k", local_path=f"{driver.kubelet}/x")
    finally:
        assert narrow.stop() == 0


