"""Requests that are refused before a kernel is needed: a clear error, and nothing changes on disk."""
import json
import os

import csi_pb2 as csi
import pytest
from driver import MODES, Driver, block_capability, mount_capability
from fixtures import folder, running_driver, tree

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
    ({"passphraseKey": ".."}, "passphraseKey"),
    ({"fsGroup": "-1"}, "fsGroup"),
    ({"fsGroup": "4294967295"}, "fsGroup"),
    ({"fs-mode": "17777"}, "fs-mode"),
    ({"luks-pbkdf-memory": "64MiB"}, "luks-pbkdf-memory"),
    ({"luks-discard": "yes"}, "luks-discard"),
    ({"luks-cipher": "cipher_null-ecb-x"}, "luks-cipher"),
    ({"luks-cipher": "aes-ecb-plain64", "luks-key-size": "256"}, "'aes-ecb-plain64'.*equal blocks.*use 'aes-xts-plain64'"),
    ({"luks-cipher": "aes-cbc-plain", "luks-key-size": "256"}, "'aes-cbc-plain'.*IV.*'aes-cbc-essiv:sha256'"),
    ({"passphrase": "x"}, "'passphrase'.*'passphraseKey'"),
    ({"k\n": "x"}, "control"),
    ({f"k{i}": "x" for i in range(129)}, "128"),
    ({"s3-bucket": "abc"}, "s3-bucket.*local"),
    ({"storage-backend": "tape"}, "storage-backend"),
])
def test_parameters(shared_driver, refused, nothing_made, parameters, words):
    driver = shared_driver
    with refused("INVALID_ARGUMENT", words):
        driver.create_raw("pvc-p", {"local-path": driver.data, **parameters})


@pytest.mark.parametrize("cipher, bits", [
    ("aes-xts-plain64", "512"), ("aes-cbc-essiv:sha256", "256"), ("serpent-xts-plain64", "256")])
def test_ciphers_that_leak_nothing(shared_driver, cipher, bits):
    """Whether the kernel has them is seen at the first stage."""
    driver = shared_driver
    driver.create("pvc-cipher", luks_cipher=cipher, luks_key_size=bits)
    driver.delete("pvc-cipher")


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


def test_there_is_no_capacity_where_no_folder_can_be(driver, refused):
    """As CreateVolume answers there, and not the room of the disk that the path happens to be on."""
    base = driver.base
    with open(f"{base}/file", "w", encoding="utf-8"):
        pass
    os.makedirs(f"{base}/real")
    os.symlink(f"{base}/real", f"{base}/link")
    os.symlink(f"{base}/nothing", f"{base}/dangling")
    for path, words in (("file", "a file lies there"), ("file/below", "a file lies there"),
                        ("link", "symbolic link: name the real folder"), ("link/below", "symbolic link"),
                        ("dangling", "symbolic link")):
        with refused("FAILED_PRECONDITION", f"{base}/{path}.*{words}"):
            driver.controller.GetCapacity(
                csi.GetCapacityRequest(parameters={"local-path": f"{base}/{path}"}), timeout=60)
        with refused("FAILED_PRECONDITION", words):
            driver.create("pvc-nowhere", local_path=f"{base}/{path}")
    assert os.listdir(f"{base}/real") == [] and os.listdir(f"{base}/state/volumes") == []


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


def test_a_file_system_is_named_once(shared_driver, refused, nothing_made):
    driver = shared_driver
    for key in ("fsType", "csi.storage.k8s.io/fstype"):
        with refused("INVALID_ARGUMENT", "'xfs'.*'ext4'"):
            driver.create("pvc-fs", capability=mount_capability("ext4"), **{key: "xfs"})
    made = driver.create("pvc-fs", capability=mount_capability("ext3"), fsType="")
    assert made.volume_context["fsType"] == "ext3"
    driver.delete("pvc-fs")


def topology(*nodes):
    key = "topology.lukscryptwalker.csi.k8s.io/node"
    return [csi.Topology(segments={key: node} if node else {"zone": "a"}) for node in nodes]


@pytest.mark.parametrize("requisite, preferred, here", [
    (["node-b"], [], False), (["node-b"], ["node-a"], False), ([None], [], False),
    (["node-b", "node-a"], ["node-b"], True), ([], ["node-b", "node-a"], True), ([], [], True)])
def test_where_a_volume_may_lie(shared_driver, refused, nothing_made, requisite, preferred, here):
    driver = shared_driver
    request = csi.CreateVolumeRequest(
        name="pvc-top", parameters={"local-path": driver.data},
        volume_capabilities=[mount_capability()], capacity_range=csi.CapacityRange(required_bytes=MI),
        accessibility_requirements=csi.TopologyRequirement(requisite=topology(*requisite),
                                                           preferred=topology(*preferred)))
    if not here:
        with refused("RESOURCE_EXHAUSTED", "another node"):
            driver.controller.CreateVolume(request, timeout=60)
        return
    made = driver.controller.CreateVolume(request, timeout=60).volume
    assert list(made.accessible_topology) == topology("node-a")
    driver.delete("pvc-top")


def test_a_page_of_the_list_is_asked_for_with_a_token_of_ours(shared_driver, refused):
    def listed(**request):
        return shared_driver.controller.ListVolumes(csi.ListVolumesRequest(**request), timeout=60)
    for token in ("x", "1", "after:", "after:../x", "after:a\nb", "after:" + "x" * 129):
        with refused("ABORTED", "starting_token"):
            listed(starting_token=token)
    with refused("INVALID_ARGUMENT", "max_entries"):
        listed(max_entries=-1)
    assert not listed(starting_token="after:zzzz", max_entries=2**31 - 1).entries


@pytest.fixture
def made(shared_driver):
    yield shared_driver.create("pvc-made", MI)
    shared_driver.delete("pvc-made")


def test_modes_of_several_nodes_exceed_a_local_volume(shared_driver, made, refused):
    for mode in (MODES.MULTI_NODE_READER_ONLY, MODES.MULTI_NODE_SINGLE_WRITER,
                 MODES.MULTI_NODE_MULTI_WRITER):
        for call in (shared_driver.stage, shared_driver.publish):
            with refused("FAILED_PRECONDITION", "access mode"):
                call(made, mount_capability(mode=mode))
    for call in (shared_driver.stage, shared_driver.publish):
        with refused("INVALID_ARGUMENT", "access mode"):
            call(made, mount_capability(mode=99))


def test_paths_of_a_publish(shared_driver, made, refused):
    driver, staging = shared_driver, shared_driver.staging("pvc-made")
    with refused("FAILED_PRECONDITION", "staging path is missing"):
        driver.nodes.NodePublishVolume(csi.NodePublishVolumeRequest(
            volume_id="pvc-made", target_path=f"{driver.kubelet}/t",
            volume_capability=mount_capability()), timeout=60)
    for target in (staging, f"{staging}/below", driver.kubelet + "/./x", f"{driver.kubelet}/x//y"):
        with refused("INVALID_ARGUMENT", "target path"):
            driver.publish(made, path=target)
    with refused("INVALID_ARGUMENT", "lie in each other"):
        driver.publish(made, path=f"{driver.kubelet}/a", staging=f"{driver.kubelet}/a/b")
    assert os.listdir(staging) == []


def test_kubelets_staging_paths_are_no_targets(shared_driver, made, refused):
    driver, csi_folder = shared_driver, f"{shared_driver.kubelet}/plugins/kubernetes.io/csi"
    for place in ("pv/pvc-made/globalmount", "lukscryptwalker.csi.k8s.io/0a1b/globalmount",
                  "volumeDevices/staging/pvc-made", "volumeDevices/staging/pvc-made/below"):
        os.makedirs(f"{csi_folder}/{place}")
        for call in (lambda: driver.unpublish("pvc-made", path=f"{csi_folder}/{place}"),
                     lambda: driver.publish(made, path=f"{csi_folder}/{place}")):
            with refused("INVALID_ARGUMENT", f"target path.*{place}.*staging path of kubelet"):
                call()
        assert os.path.isdir(f"{csi_folder}/{place}")
    for place in ("pv/globalmount-2", "volumeDevices/publish/pvc-made/pod-1"):  # are none of them
        os.makedirs(f"{csi_folder}/{place}")
        driver.unpublish("pvc-made", path=f"{csi_folder}/{place}")
        assert not os.path.exists(f"{csi_folder}/{place}")


def test_a_mount_point_needs_a_folder_above(shared_driver, made, refused, unchanged):
    with unchanged(shared_driver.image("pvc-made"), shared_driver.record("pvc-made")):
        with refused("FAILED_PRECONDITION", "folder that is to hold"):
            shared_driver.stage(made, path=f"{shared_driver.kubelet}/no/such")
    shared_driver.unpublish("pvc-made", path=f"{shared_driver.kubelet}/no/such")
    assert not os.path.exists(f"{shared_driver.kubelet}/no")


def test_unpublish_removes_only_empty_mount_points(shared_driver, made, refused):
    base = f"{shared_driver.kubelet}/kept"
    os.makedirs(f"{base}/folder/inside")
    with open(f"{base}/file", "w", encoding="utf-8") as out:
        out.write("data")
    os.symlink("/etc", f"{base}/link")
    for name in ("folder", "file", "link"):
        with refused("FAILED_PRECONDITION", "not an empty mount point"):
            shared_driver.unpublish("pvc-made", path=f"{base}/{name}")
    assert sorted(os.listdir(base)) == ["file", "folder", "link"]
    os.mkdir(f"{base}/empty")
    for _ in range(2):
        shared_driver.unpublish("pvc-made", path=f"{base}/empty")
    assert not os.path.exists(f"{base}/empty")


@pytest.mark.parametrize("path, code", [
    ("some/path", "NOT_FOUND"), ("/elsewhere", "NOT_FOUND"), ("KUBELET/none", "NOT_FOUND"),
    ("KUBELET", "NOT_FOUND"), ("KUBELET/a/../b", "INVALID_ARGUMENT"), ("", "INVALID_ARGUMENT"),
    ("KUBELET/a\nb", "INVALID_ARGUMENT"), ("/" + "a/" * 2500, "INVALID_ARGUMENT"),
    ("KUBELET/\0", "INVALID_ARGUMENT")])
def test_stats_of_a_path(shared_driver, made, refused, path, code):
    with refused(code, "volume.path|not mounted"):
        shared_driver.stats("pvc-made", path.replace("KUBELET", shared_driver.kubelet))


def test_a_secret_that_is_no_text_is_refused_and_not_shown(shared_driver, made, refused):
    """As a client sends it that does not look at what it sends."""
    driver = shared_driver
    begin = len(driver.read_log())
    request = csi.NodeStageVolumeRequest(
        volume_id="pvc-made", staging_target_path=driver.staging("pvc-made"),
        volume_capability=mount_capability(), secrets={"passphrase": "MARKED-_-SECRET"})
    send = driver.channel.unary_unary("/csi.v1.Node/NodeStageVolume")
    for middle in (b"\0", b"\xff", b"\xc0\x80"):
        text = request.SerializeToString().replace(b"-_-", middle.ljust(3, b"-"))
        with refused("INVALID_ARGUMENT", "secrets|value") as answer:
            send(text, timeout=60)
        assert "MARKED" not in answer.sentence
    request.secrets["passphrase"] = "MARKED" * (1 << 18)
    with refused("RESOURCE_EXHAUSTED") as answer:
        driver.nodes.NodeStageVolume(request, timeout=60)
    assert "MARKED" not in answer.sentence + driver.read_log(begin)
    assert json.load(open(driver.record("pvc-made"), encoding="utf-8"))["state"] == "reserved"


def test_a_controller_alone_makes_and_deletes_volumes(refused):
    class Controller(Driver):
        def command(self):
            return [word if word != "all" else "controller" for word in super().command()]
    with folder() as base, running_driver(base, Controller) as driver:
        volume = driver.create("pvc-alone", MI)
        assert driver.expand("pvc-alone", 2 * MI).capacity_bytes == 16 * MI
        with refused("UNIMPLEMENTED", "NodeStageVolume"):
            driver.stage(volume)
        driver.delete("pvc-alone")
