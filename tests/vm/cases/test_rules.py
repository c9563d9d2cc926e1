"""Rules of the controller and the node: idempotency, sizes, access modes, permissions."""
import os
import stat

import csi_pb2 as csi
import kernel
import pytest
from driver import MODES, block_capability, mount_capability

MI = 1 << 20


def test_every_call_may_be_repeated(driver):
    volume = driver.create("pvc-twice")
    assert driver.create("pvc-twice") == volume
    for _ in range(2):
        driver.stage(volume)
    for _ in range(2):
        target = driver.publish(volume)
    assert len([m for m in kernel.mounts() if m[0] == target]) == 1
    for _ in range(2):
        assert driver.expand("pvc-twice", 64 * MI).capacity_bytes == 64 * MI
        assert driver.node_expand("pvc-twice", target).capacity_bytes == 64 * MI
    assert driver.expand("pvc-twice", 32 * MI).capacity_bytes == 64 * MI
    for _ in range(2):
        driver.unpublish("pvc-twice")
    for _ in range(2):
        driver.unstage("pvc-twice")
    for _ in range(2):
        driver.delete("pvc-twice")


def test_a_name_means_one_volume(driver, refused):
    driver.create("pvc-a")
    with refused("ALREADY_EXISTS", "bytes"):
        driver.create("pvc-a", 64 * MI)
    with refused("ALREADY_EXISTS", "fsGroup"):
        driver.create("pvc-a", fsGroup="5")
    with refused("ALREADY_EXISTS", "fsType"):
        driver.create("pvc-a", 32 * MI, mount_capability("ext3"))
    driver.delete("pvc-a")


def test_unusual_names_get_an_id_of_their_own(driver):
    first, second = driver.create("my volume/ä"), driver.create("my volume/ö")
    assert first.volume_id != second.volume_id and "/" not in first.volume_id
    assert driver.create("my volume/ä").volume_id == first.volume_id
    long = driver.create("x" * 128)
    driver.stage(long)
    driver.unstage(long.volume_id)
    for volume in (first, second, long):
        driver.delete(volume.volume_id)


def test_pages_of_the_list(driver, refused):
    for name in "abcde":
        driver.create(f"pvc-{name}")
    seen, token = [], ""
    while True:
        page = driver.controller.ListVolumes(
            csi.ListVolumesRequest(max_entries=2, starting_token=token), timeout=60)
        seen += [entry.volume.volume_id for entry in page.entries]
        assert all(not entry.status.volume_condition.abnormal for entry in page.entries)
        token = page.next_token
        if not token:
            break
    assert seen == [f"pvc-{name}" for name in "abcde"]
    with refused("ABORTED", "starting_token"):
        driver.controller.ListVolumes(csi.ListVolumesRequest(starting_token="7"), timeout=60)
    for name in "abcde":
        driver.delete(f"pvc-{name}")


def test_capacity_and_topology(driver, refused):
    here = {"topology.lukscryptwalker.csi.k8s.io/node": "node-a"}
    info = driver.nodes.NodeGetInfo(csi.NodeGetInfoRequest(), timeout=60)
    assert info.node_id == "node-a" and info.max_volumes_per_node > 0
    assert dict(info.accessible_topology.segments) == here

    def capacity(segments):
        request = csi.GetCapacityRequest(parameters={"local-path": driver.data})
        request.accessible_topology.segments.update(segments)
        return driver.controller.GetCapacity(request, timeout=60)
    free = os.statvfs(driver.base)
    answer = capacity(here)
    assert 0 < answer.available_capacity <= free.f_bavail * free.f_frsize
    assert answer.maximum_volume_size.value == answer.available_capacity
    assert capacity({"topology.lukscryptwalker.csi.k8s.io/node": "node-b"}).available_capacity == 0

    request = csi.CreateVolumeRequest(name="pvc-far", parameters={"local-path": driver.data},
                                      volume_capabilities=[mount_capability()])
    request.accessibility_requirements.requisite.add().segments[list(here)[0]] = "node-b"
    with refused("RESOURCE_EXHAUSTED", "node-a"):
        driver.controller.CreateVolume(request, timeout=60)


def test_u02_a_stage_on_another_node_names_the_one_with_the_data(driver, refused):
    volume = driver.create("pvc-here")
    context = dict(volume.volume_context)
    context["topology.lukscryptwalker.csi.k8s.io/node"] = "node-b"
    volume.volume_id = "pvc-unknown-here"
    with refused("FAILED_PRECONDITION", "node-b"):
        driver.stage(volume, context=context)
    driver.delete("pvc-here")


def test_validate_says_what_is_supported(driver, refused):
    driver.create("pvc-v")

    def validate(volume_id, capability):
        return driver.controller.ValidateVolumeCapabilities(csi.ValidateVolumeCapabilitiesRequest(
            volume_id=volume_id, volume_capabilities=[capability]), timeout=60)
    assert validate("pvc-v", mount_capability()).HasField("confirmed")
    shared = validate("pvc-v", mount_capability(mode=MODES.MULTI_NODE_MULTI_WRITER))
    assert not shared.HasField("confirmed") and "access mode" in shared.message
    with refused("NOT_FOUND"):
        validate("pvc-none", mount_capability())
    driver.delete("pvc-v")


def root_of(driver, name, capability, **parameters):
    volume = driver.create(name, 32 * MI, capability, **parameters)
    driver.stage(volume, capability)
    target = driver.publish(volume, capability)
    found = os.stat(target)
    driver.unpublish(name)
    driver.unstage(name)
    driver.delete(name)
    return oct(stat.S_IMODE(found.st_mode)), found.st_gid


@pytest.mark.parametrize("group, parameters, expected", [
    ("", {}, ("0o755", 0)),
    ("26", {}, ("0o2775", 26)),
    ("", {"fsGroup": "999"}, ("0o2775", 999)),
    ("26", {"fsGroup": "999"}, ("0o2775", 999)),
    ("26", {"fs-mode": "0750"}, ("0o750", 26)),
    ("", {"fs-mode": "1777"}, ("0o1777", 0)),
])
def test_u21_group_and_mode_of_the_root(driver, group, parameters, expected):
    assert root_of(driver, "pvc-g", mount_capability(group=group), **parameters) == expected


def test_u21_a_right_root_is_left_alone_with_all_below(driver):
    capability = mount_capability(group="26")
    volume = driver.create("pvc-keep", capability=capability)
    driver.stage(volume, capability)
    path = f"{driver.staging('pvc-keep')}/mine"
    os.mkdir(path, 0o700)
    os.chown(path, 70, 70)
    driver.unstage("pvc-keep")
    driver.stage(volume, capability)
    found = os.stat(path)
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (70, 70, 0o2700) or \
        (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (70, 70, 0o700)
    driver.unstage("pvc-keep")
    driver.delete("pvc-keep")


def test_mount_flags(driver, refused):
    capability = mount_capability(flags=["noatime", "commit=7", "nosuid"])
    volume = driver.create("pvc-f", capability=capability)
    driver.stage(volume, capability)
    target = driver.publish(volume, capability)
    options = kernel.mount_at(target)[4].split(",")
    assert {"noatime", "nosuid"} <= set(options)
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        assert any("commit=7" in line for line in table if target in line)
    driver.unpublish("pvc-f")
    driver.unstage("pvc-f")
    with refused("INVALID_ARGUMENT", "nonsense"):
        driver.stage(volume, mount_capability(flags=["nonsense=1"]))
    assert "luks-pvc-f" not in kernel.mappings()
    for flag in ("bind", "remount", "a,b", "", "loop"):
        with refused("INVALID_ARGUMENT", "mount flag"):
            driver.stage(volume, mount_capability(flags=[flag]))
    driver.delete("pvc-f")


def test_publish_again_with_other_flags(driver, refused):
    staged, hard = mount_capability(flags=["nodev"]), mount_capability(flags=["nodev", "noexec"])
    volume = driver.create("pvc-again", capability=staged)
    driver.stage(volume, staged)
    for capability in (hard, mount_capability()):  # with and without what was staged
        target = driver.publish(volume, capability)
        driver.publish(volume, capability)
        options = kernel.mount_at(target)[4].split(",")
        assert "nodev" in options and ("noexec" in options) == (capability == hard)
        with refused("ALREADY_EXISTS", "other mount flags"):
            driver.publish(volume, mount_capability(flags=["nosuid"]))
        with refused("ALREADY_EXISTS", "writable"):
            driver.publish(volume, capability, readonly=True)
        assert kernel.mount_at(target)[4].split(",") == options
        driver.unpublish("pvc-again")
    driver.unstage("pvc-again")
    # What was staged read-only is published so, whether or not that is asked for.
    driver.stage(volume, mount_capability(flags=["ro"]))
    for _ in range(2):
        target = driver.publish(volume)
    assert "ro" in kernel.mount_at(target)[4].split(",")
    driver.unpublish("pvc-again")
    driver.unstage("pvc-again")
    driver.delete("pvc-again")


def test_a_second_staging_path_is_refused(driver, refused):
    """Each unstage would wait for the other."""
    volume = driver.create("pvc-two")
    driver.stage(volume)
    second = f"{driver.kubelet}/second"
    os.mkdir(second)
    with refused("FAILED_PRECONDITION", "mounted at '.*staging-pvc-two' already"):
        driver.stage(volume, path=second)
    assert not kernel.mount_at(second) and kernel.mount_at(driver.staging("pvc-two"))
    driver.unstage("pvc-two", path=second)  # CSI: nothing is there
    driver.unstage("pvc-two")
    driver.stage(volume, path=second)
    driver.unstage("pvc-two", path=second)
    driver.delete("pvc-two")


def test_a_staging_mount_that_somebody_took_away_is_made_anew(driver, refused):
    """`umount` by hand while pods use the volume: their mounts stay, and are no second staging."""
    volume = driver.create("pvc-torn")
    staging, folder = driver.staging("pvc-torn"), f"{driver.kubelet}/pods/0a-1b/volumes/kubernetes.io~csi/pvc-torn"
    os.makedirs(folder)
    driver.stage(volume)
    target = driver.publish(volume, path=f"{folder}/mount")
    with open(f"{target}/file", "w", encoding="ascii") as out:
        out.write("kept")
    kernel.run("umount", staging)
    with refused("FAILED_PRECONDITION", "not mounted at the staging path.*stage it again"):
        driver.publish(volume, number=1)
    with refused("FAILED_PRECONDITION", f"still mounted at '{target}'"):
        driver.unstage("pvc-torn")
    for _ in range(2):
        driver.stage(volume)
    assert len([m for m in kernel.mounts() if m[0] == staging]) == 1
    with open(f"{staging}/file", encoding="ascii") as text:
        assert text.read() == "kept"
    # It is staged here now, so nowhere else.
    second = f"{driver.kubelet}/second"
    os.mkdir(second)
    with refused("FAILED_PRECONDITION", "mounted at '.*staging-pvc-torn' already"):
        driver.stage(volume, path=second)
    driver.unstage("pvc-torn", path=second)
    assert kernel.mount_at(target) and kernel.mount_at(staging)
    driver.unpublish("pvc-torn", path=target)
    driver.unstage("pvc-torn")
    driver.delete("pvc-torn")


def test_a_raw_block_volume_grows_where_it_is(driver, refused):
    capability = block_capability()
    volumes = [driver.create(name, 32 * MI, capability) for name in ("pvc-raw", "pvc-other")]
    for volume in volumes:
        driver.stage(volume, capability)
    target, other = [driver.publish(volume, capability) for volume in volumes]
    driver.expand("pvc-raw", 64 * MI)
    with open(f"{driver.kubelet}/file", "w", encoding="ascii"):
        pass
    for path in (other, f"{driver.kubelet}/file", f"{driver.kubelet}/none"):
        with refused("NOT_FOUND", f"'pvc-raw' is not .*at '{path}'"):
            driver.node_expand("pvc-raw", path)
    with refused("INVALID_ARGUMENT", "volume path"):
        driver.node_expand("pvc-raw", "/dev/mapper/luks-pvc-raw")
    for path in (target, driver.staging("pvc-raw")):
        assert driver.node_expand("pvc-raw", path).capacity_bytes == 64 * MI
    for name in ("pvc-raw", "pvc-other"):
        driver.unpublish(name)
        driver.unstage(name)
        driver.delete(name)


def test_read_only_publish(driver, refused):
    volume = driver.create("pvc-ro")
    driver.stage(volume)
    target = driver.publish(volume, readonly=True)
    with pytest.raises(OSError):
        open(f"{target}/x", "w", encoding="ascii").close()
    with refused("ALREADY_EXISTS", "read-only"):
        driver.publish(volume)
    driver.unpublish("pvc-ro")
    driver.unstage("pvc-ro")
    driver.delete("pvc-ro")


def test_access_modes_count_targets(driver, refused):
    many = mount_capability(mode=MODES.SINGLE_NODE_MULTI_WRITER)
    volume = driver.create("pvc-m", capability=many)
    driver.stage(volume, many)
    driver.publish(volume, many)
    driver.publish(volume, many, number=1)
    driver.unpublish("pvc-m", 1)
    one = mount_capability(mode=MODES.SINGLE_NODE_SINGLE_WRITER)
    driver.publish(volume, one)
    with refused("FAILED_PRECONDITION", "another path"):
        driver.publish(volume, one, number=1)
    driver.unpublish("pvc-m")
    driver.unstage("pvc-m")
    with refused("INVALID_ARGUMENT", "access mode"):
        driver.create("pvc-n", capability=mount_capability(mode=MODES.MULTI_NODE_MULTI_WRITER))
    driver.delete("pvc-m")


def test_condition_tells_what_is_wrong(driver):
    volume = driver.create("pvc-c")
    driver.stage(volume)
    driver.unstage("pvc-c")
    os.rename(driver.image("pvc-c"), driver.image("pvc-c") + ".away")
    answer = driver.controller.ControllerGetVolume(
        csi.ControllerGetVolumeRequest(volume_id="pvc-c"), timeout=60)
    assert answer.status.volume_condition.abnormal
    assert "luks-pvc-c.img" in answer.status.volume_condition.message
    os.rename(driver.image("pvc-c") + ".away", driver.image("pvc-c"))
    answer = driver.controller.ControllerGetVolume(
        csi.ControllerGetVolumeRequest(volume_id="pvc-c"), timeout=60)
    assert not answer.status.volume_condition.abnormal
    driver.delete("pvc-c")
