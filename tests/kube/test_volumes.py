"""Controller and nodes as processes, on a real control plane: what is created is there, and said."""
import contextlib
import json
import os
import shutil
import subprocess
import time

import csi_pb2 as csi
import kernel
import pytest
from conftest import CRDS, REPO, built
from driver import until
from objects import fall_silent, healthy, look, objects, refused

MIB = 1 << 20


def condition_of(controller, name):
    answer = controller.controller.ControllerGetVolume(csi.ControllerGetVolumeRequest(volume_id=name), timeout=30)
    return answer.status.volume_condition


def test_the_life_of_a_volume(kinds, start):
    controller, node = start("a")
    volume = controller.create_on("pvc-1", "a")
    assert (volume.volume_id, volume.capacity_bytes) == ("pvc-1", 32 * MIB)
    assert [dict(one.segments) for one in volume.accessible_topology] == [{"topology.lukscryptwalker.csi.k8s.io/node": "a"}]
    assert os.path.getsize(node.image("pvc-1")) == 48 * MIB
    seen = look(kinds, "luksvolume", "pvc-1")
    assert seen["spec"]["nodeName"] == "a" and seen["status"]["phase"] == "Ready"
    assert seen["status"]["state"] == "reserved" and seen["status"]["capacity"] == "32Mi"
    # As external-provisioner does after a lost answer.
    assert controller.create_on("pvc-1", "a") == volume
    with refused("ALREADY_EXISTS", "bytes"):
        controller.create_on("pvc-1", "a", size=64 * MIB)
    assert not condition_of(controller, "pvc-1").abnormal

    assert controller.expand("pvc-1", 64 * MIB).capacity_bytes == 64 * MIB
    assert os.path.getsize(node.image("pvc-1")) == 80 * MIB
    assert look(kinds, "luksvolume", "pvc-1")["status"]["capacity"] == "64Mi"

    controller.delete("pvc-1")
    assert look(kinds, "luksvolume", "pvc-1") is None
    assert os.listdir(f"{node.base}/host/data") == [] and os.listdir(f"{node.base}/state/volumes") == []
    controller.delete("pvc-1")


def test_the_node_that_is_asked_for_has_it(kinds, start):
    controller, a, b = start("a", "b")
    controller.create_on("pvc-a", "a", "b")
    controller.create_on("pvc-b", "b", "a")
    controller.create_on("pvc-any")
    assert os.path.exists(a.image("pvc-a")) and os.path.exists(b.image("pvc-b"))
    assert os.path.exists(a.image("pvc-any")) != os.path.exists(b.image("pvc-any"))
    with refused("RESOURCE_EXHAUSTED", "'c'", "never reported"):
        controller.create_on("pvc-c", "c")
    with refused("ALREADY_EXISTS", "node 'a'"):
        controller.create_on("pvc-a", "b")
    listed = controller.controller.ListVolumes(csi.ListVolumesRequest(max_entries=2), timeout=30)
    assert [one.volume.volume_id for one in listed.entries] == ["pvc-a", "pvc-any"] and listed.next_token


def test_no_room_leaves_nothing(kinds, start):
    controller, node = start("a")
    with refused("RESOURCE_EXHAUSTED", "'a' has"):
        controller.create_on("pvc-1", "a", size=1 << 50)
    assert objects(kinds, "luksvolumes") == []

    def room_of(**parameters):
        return controller.controller.GetCapacity(csi.GetCapacityRequest(
            parameters={"local-path": "/data", **parameters}, accessible_topology=csi.Topology(segments={
                "topology.lukscryptwalker.csi.k8s.io/node": "a"})), timeout=30).available_capacity

    assert 0 < room_of() <= shutil.disk_usage(node.base).free
    # The scheduler must not hide from people what CreateVolume says of a wrong class.
    assert room_of(fsTyp="xfs") > 1 << 60
    with refused("INVALID_ARGUMENT", "'fsTyp'"):
        controller.create_on("pvc-1", "a", fsTyp="xfs")
    controller.create_on("pvc-2", "a")
    with refused("RESOURCE_EXHAUSTED"):
        controller.expand("pvc-2", 1 << 50)
    until("the wish is taken back", lambda: look(kinds, "luksvolume", "pvc-2")["spec"]["capacity"] == "32Mi", 10)
    assert os.path.getsize(node.image("pvc-2")) == 48 * MIB
    controller.delete("pvc-2")


def test_what_a_node_cannot_make_is_explained_and_taken_back(kinds, start):
    controller, node = start("a")
    os.makedirs(f"{node.base}/host/data")
    with open(f"{node.base}/host/data/pvc-1", "w", encoding="utf-8") as foreign:
        foreign.write("no folder")
    with refused("FAILED_PRECONDITION", "node 'a'", "/data/pvc-1", "move it away"):
        controller.create_on("pvc-1", "a")
    until("nothing is left of it", lambda: objects(kinds, "luksvolumes") == [], 20)
    with open(f"{node.base}/host/data/pvc-1", encoding="utf-8") as foreign:
        assert foreign.read() == "no folder"


NODE = '{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}'


def lcw(cluster, *words, status=0):
    done = subprocess.run([built("lcw"), *words], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)})
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def delete_within(controller, name, seconds):
    controller.controller.DeleteVolume(csi.DeleteVolumeRequest(volume_id=name), timeout=seconds)


def test_a_node_that_is_away_is_waited_for(kinds, start):
    kinds.kubectl("create", "-f", "-", given=NODE)
    controller, node = start("a")
    node.kill()
    with refused("DEADLINE_EXCEEDED", "'a'", "kubectl get luksnode a"):
        controller.controller.CreateVolume(request_of("pvc-1", "a"), timeout=5)
    assert look(kinds, "luksvolume", "pvc-1")["status"]["phase"] == "Pending"
    node.start()
    until("the node makes it", lambda: look(kinds, "luksvolume", "pvc-1")["status"]["phase"] == "Ready", 20)
    controller.controller.CreateVolume(request_of("pvc-1", "a"), timeout=20)
    node.kill()
    with refused("DEADLINE_EXCEEDED", "'a'"):
        delete_within(controller, "pvc-1", 5)
    kinds.kubectl("delete", "node", "a")
    with refused("FAILED_PRECONDITION", "no longer in the cluster", "--node-is-gone"):
        delete_within(controller, "pvc-1", 5)
    assert os.path.exists(node.image("pvc-1"))
    # What was never made needs nobody to take it away.
    with refused("FAILED_PRECONDITION", "no longer in the cluster"):
        controller.controller.CreateVolume(request_of("pvc-2", "a"), timeout=5)
    assert objects(kinds, "luksvolumes") == ["pvc-1"]
    kinds.kubectl("create", "-f", "-", given=NODE)
    assert "kubectl delete node a" in lcw(kinds, "volume", "forget", "pvc-1", "--node-is-gone", status=1)
    kinds.kubectl("delete", "node", "a")
    assert "forgotten" in lcw(kinds, "volume", "forget", "pvc-1", "--node-is-gone")
    controller.delete("pvc-1")
    # Should it come back all the same, its data are known again, and deleted as they should be.
    node.start()
    until("the volume is known again", lambda: look(kinds, "luksvolume", "pvc-1"), 20)
    controller.delete("pvc-1")
    assert look(kinds, "luksvolume", "pvc-1") is None and not os.path.exists(node.image("pvc-1"))


def request_of(name, node):
    request = csi.CreateVolumeRequest(name=name, parameters={"local-path": "/data"})
    request.volume_capabilities.add().mount.SetInParent()
    request.volume_capabilities[0].access_mode.mode = 1
    request.capacity_range.required_bytes = 32 * MIB
    request.accessibility_requirements.requisite.add().segments["topology.lukscryptwalker.csi.k8s.io/node"] = node
    return request


def test_a_lost_object_is_made_again_from_the_disk(kinds, start):
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    before = look(kinds, "luksvolume", "pvc-1")
    node.kill()
    kinds.kubectl("patch", "luksvolume", "pvc-1", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kinds.kubectl("delete", "luksvolume", "pvc-1")
    node.start()
    until("it is there again", lambda: (look(kinds, "luksvolume", "pvc-1") or {}).get("status", {}).get("phase") == "Ready", 20)
    after = look(kinds, "luksvolume", "pvc-1")
    assert after["spec"] == before["spec"] and after["metadata"]["uid"] != before["metadata"]["uid"]
    controller.delete("pvc-1")
    assert not os.path.exists(node.image("pvc-1"))


def test_what_a_node_had_begun_when_it_went_away_goes_when_it_is_back(kinds, start):
    """The claim has moved to another node meanwhile: nobody else would ever ask for it."""
    kinds.kubectl("create", "-f", "-", given=NODE)
    controller, node, other = start("a", "b")
    controller.create_on("pvc-1", "a")
    begun = look(kinds, "luksvolume", "pvc-1")
    node.kill()
    with open(f"{node.base}/state/volumes/pvc-1.json", encoding="utf-8") as text:
        record = json.load(text)
    with open(f"{node.base}/state/volumes/pvc-1.json", "w", encoding="utf-8") as text:
        json.dump({**record, "state": "creating"}, text)
    kinds.kubectl("patch", "luksvolume", "pvc-1", "--subresource=status", "--type=merge", "-p", json.dumps(
        {"status": {key: None for key in begun["status"]}}))
    kinds.kubectl("delete", "node", "a")
    with refused("ABORTED", "taken away there first"):
        controller.create_on("pvc-1", "b")
    controller.create_on("pvc-1", "b")
    assert os.path.exists(node.image("pvc-1"))
    node.start()
    until("it is gone there", lambda: os.listdir(f"{node.base}/host/data") == [], 20)
    assert os.listdir(f"{node.base}/state/volumes") == [] and os.path.exists(other.image("pvc-1"))
    controller.delete("pvc-1")


def test_a_second_volume_of_the_name_on_another_node_is_told(kinds, start):
    """An etcd from before the PersistentVolume: the claim gets a volume again, and the scheduler chose another node."""
    controller, node, other = start("a", "b")
    controller.create_on("pvc-1", "a")
    node.kill()
    kinds.kubectl("patch", "luksvolume", "pvc-1", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kinds.kubectl("delete", "luksvolume", "pvc-1")
    controller.create_on("pvc-1", "b")
    inode = os.stat(node.image("pvc-1")).st_ino
    node.start()
    events = ("events", "--field-selector=reason=DataOnTwoNodes,involvedObject.kind=LUKSVolume")
    until("people are told", lambda: kinds.get(*events)["items"], 20)
    (event,) = kinds.get(*events)["items"]
    assert event["type"] == "Warning" and "node 'a' has an unused image of this volume, too" in event["message"] and "on node 'b'" in event["message"]
    assert look(kinds, "luksvolume", "pvc-1")["spec"]["nodeName"] == "b"
    controller.delete("pvc-1")
    until("what is left is known", lambda: (look(kinds, "luksvolume", "pvc-1") or {}).get("spec", {}).get("nodeName") == "a", 90)
    assert os.stat(node.image("pvc-1")).st_ino == inode and not os.path.exists(other.image("pvc-1"))
    controller.delete("pvc-1")
    assert not os.path.exists(node.image("pvc-1"))


def made_again(cluster, name, uid):
    found = look(cluster, "luksvolume", name)
    return found and found["metadata"]["uid"] != uid and found["status"]["phase"] == "Ready"


def test_u03_only_a_volume_that_was_deleted_is_destroyed(kinds, start):
    """`kubectl delete luksvolume`, and of the whole kind (as `kubectl delete -f deploy/` does), destroy nothing."""
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    uid = look(kinds, "luksvolume", "pvc-1")["metadata"]["uid"]
    with open(node.image("pvc-1"), "rb") as image:
        kinds.kubectl("delete", "luksvolume", "pvc-1")
        until("the object is there again", lambda: made_again(kinds, "pvc-1", uid), 20)
        assert "not by DeleteVolume" in node.read_log()
        uid = look(kinds, "luksvolume", "pvc-1")["metadata"]["uid"]
        kinds.kubectl("delete", "crd", "luksvolumes.lukscryptwalker.csi.k8s.io")
        kinds.kubectl("apply", "-f", str(REPO / CRDS))
        kinds.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        node.restart()  # which reports at once
        until("it survives its kind", lambda: made_again(kinds, "pvc-1", uid), 30)
        assert os.fstat(image.fileno()).st_nlink == 1, "it is the same image"
    controller.delete("pvc-1")
    assert not os.path.exists(node.image("pvc-1"))


def test_a_volume_without_its_finalizer_is_destroyed_all_the_same(kinds, start):
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    kinds.kubectl("patch", "luksvolume", "pvc-1", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    controller.delete("pvc-1")
    assert look(kinds, "luksvolume", "pvc-1") is None and not os.path.exists(node.image("pvc-1"))


def test_a_deletion_while_the_kind_is_away_is_none(kinds, start):
    """What the cluster cannot know is not "does not exist": the PersistentVolume would go, and nobody would ask again."""
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    node.kill()
    kinds.kubectl("patch", "luksvolume", "pvc-1", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kinds.kubectl("delete", "crd", "luksvolumes.lukscryptwalker.csi.k8s.io")
    with refused("FAILED_PRECONDITION", "apply the CRDs"):
        controller.delete("pvc-1")
    kinds.kubectl("apply", "-f", str(REPO / CRDS))
    kinds.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    node.start()
    until("it is known again", lambda: made_again(kinds, "pvc-1", None), 30)
    controller.delete("pvc-1")
    assert not os.path.exists(node.image("pvc-1"))


def test_a_claim_leaves_a_node_that_is_gone(kinds, start):
    """It died while the volume was made; then its Node was removed, and the scheduler chose another one."""
    kinds.kubectl("create", "-f", "-", given=NODE)
    controller, node, other = start("a", "b")
    node.kill()
    with refused("DEADLINE_EXCEEDED"):
        controller.create_on("pvc-1", "a", timeout=5)
    kinds.kubectl("delete", "node", "a")
    with refused("ABORTED", "taken away there first"):
        controller.create_on("pvc-1", "b")
    controller.create_on("pvc-1", "b")
    assert look(kinds, "luksvolume", "pvc-1")["spec"]["nodeName"] == "b" and os.path.exists(other.image("pvc-1"))
    controller.delete("pvc-1")


@contextlib.contextmanager
def small_disk(node):
    path = f"{node.base}/host/data"
    os.makedirs(path, exist_ok=True)
    kernel.run("mount", "-t", "tmpfs", "-o", "size=120m", "disk", path)
    try:
        yield path
    finally:
        kernel.run("umount", path, check=False)


def test_a_size_that_does_not_fit_is_answered_once(kinds, start):
    """Somebody edited the object, and nobody takes that back: the answer stands, and nothing runs in circles."""
    controller, node = start("a")
    with small_disk(node):
        controller.create_on("pvc-1", "a")
        kinds.kubectl("patch", "luksvolume", "pvc-1", "--type=merge", "-p", '{"spec":{"capacity":"256Mi"}}')
        until("it is answered", lambda: look(kinds, "luksvolume", "pvc-1")["status"]["phase"] == "Exhausted", 20)
        time.sleep(2)
        before = look(kinds, "luksvolume", "pvc-1")
        time.sleep(5)
        after = look(kinds, "luksvolume", "pvc-1")
        assert after["status"]["code"] == "RESOURCE_EXHAUSTED" and after["status"]["capacity"] == "32Mi"
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        node.restart()  # which reports at once
        time.sleep(3)
        assert look(kinds, "luksvolume", "pvc-1")["status"]["phase"] == "Exhausted"
        kinds.kubectl("patch", "luksvolume", "pvc-1", "--type=merge", "-p", '{"spec":{"capacity":"32Mi"}}')
        until("it is well", lambda: look(kinds, "luksvolume", "pvc-1")["status"]["phase"] == "Ready", 20)
        controller.delete("pvc-1")


def test_u25_a_node_without_its_disk_gets_no_new_volumes(kinds, start):
    """Neither by the scheduler, which asks for the room, nor by the controller, which may choose among all."""
    controller, node, other = start("a", "b")
    with small_disk(node) as path:
        controller.create_on("pvc-1", "a")

    def disk():
        return [one for one in look(kinds, "luksnode", "a")["status"]["filesystems"] if one["mountPoint"] == "/data"]

    node.restart()  # which reports at once
    until("the node says so", lambda: disk() == [{"mountPoint": "/data", "type": "absent", "capacityBytes": 0, "freeBytes": 0}], 20)
    with refused("RESOURCE_EXHAUSTED"):
        controller.create_on("pvc-2", "a")
    controller.create_on("pvc-2", "b")
    assert os.path.exists(other.image("pvc-2")) and os.listdir(path) == []
    controller.delete("pvc-2")


def test_a_deletion_that_began_by_hand_can_be_ended_by_a_claim(kinds, start):
    """The node was away when somebody deleted the object; DeleteVolume comes before it is back."""
    kinds.kubectl("create", "-f", "-", given=NODE)
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    node.kill()
    kinds.kubectl("delete", "luksvolume", "pvc-1", "--wait=false")
    with refused("DEADLINE_EXCEEDED"):
        delete_within(controller, "pvc-1", 5)
    node.start()
    controller.delete("pvc-1")
    assert look(kinds, "luksvolume", "pvc-1") is None and not os.path.exists(node.image("pvc-1"))
    kinds.kubectl("delete", "node", "a")


def test_an_etcd_that_was_restored_from_before_an_expansion(kinds, start):
    """The disk knows better, and the cluster is told."""
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    old = look(kinds, "luksvolume", "pvc-1")
    assert controller.expand("pvc-1", 64 * MIB).capacity_bytes == 64 * MIB
    node.kill()
    kinds.kubectl("patch", "luksvolume", "pvc-1", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kinds.kubectl("delete", "luksvolume", "pvc-1")
    for key in ("uid", "resourceVersion", "creationTimestamp", "generation"):
        old["metadata"].pop(key)
    kinds.kubectl("create", "-f", "-", given=json.dumps(old))
    kinds.kubectl("patch", "luksvolume", "pvc-1", "--subresource=status", "--type=merge", "-p", json.dumps({"status": old["status"]}))
    node.start()
    until("the node reports what is there", lambda: look(kinds, "luksvolume", "pvc-1")["status"]["capacity"] == "64Mi", 30)
    assert os.path.getsize(node.image("pvc-1")) == 80 * MIB
    assert controller.expand("pvc-1", 96 * MIB).capacity_bytes == 96 * MIB
    controller.delete("pvc-1")


def test_u03_an_etcd_that_was_restored_from_before_the_first_use(kinds, start):
    """A create that could not be done gave its object up, and the node has a volume of that name in use."""
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    old = look(kinds, "luksvolume", "pvc-1")
    node.kill()
    for path in (f"{node.base}/host/data/pvc-1/volume.json", f"{node.base}/state/volumes/pvc-1.json"):
        with open(path, encoding="utf-8") as text:
            record = json.load(text)
        record.update(state="formatted", luksUUID="1d9ba0ad-0f1e-4b7e-9d43-7b5a1d1b0c11", fsUUID="1d9ba0ad-0f1e-4b7e-9d43-7b5a1d1b0c12")
        with open(path, "w", encoding="utf-8") as text:
            json.dump(record, text)
    kinds.kubectl("patch", "luksvolume", "pvc-1", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kinds.kubectl("delete", "luksvolume", "pvc-1")
    old["spec"]["destroy"] = True
    kinds.kubectl("create", "-f", "-", given=json.dumps({
        "apiVersion": old["apiVersion"], "kind": old["kind"], "spec": old["spec"],
        "metadata": {key: old["metadata"][key] for key in ("name", "finalizers")}}))
    kinds.kubectl("delete", "luksvolume", "pvc-1", "--wait=false")
    uid = look(kinds, "luksvolume", "pvc-1")["metadata"]["uid"]
    inode = os.stat(node.image("pvc-1")).st_ino
    node.start()
    until("the node tells what it has", lambda: made_again(kinds, "pvc-1", uid), 30)
    assert look(kinds, "luksvolume", "pvc-1")["status"]["state"] == "formatted"
    assert os.stat(node.image("pvc-1")).st_ino == inode
    controller.delete("pvc-1")
    assert not os.path.exists(node.image("pvc-1"))


def test_a_status_that_was_wiped_is_told_again(kinds, start):
    """It looks like a volume that nobody has made yet: what the node knows decides."""
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    before = look(kinds, "luksvolume", "pvc-1")
    inode = os.stat(node.image("pvc-1")).st_ino
    wipe = ("patch", "luksvolume", "pvc-1", "--subresource=status", "--type=merge", "-p", '{"status":null}')
    kinds.kubectl(*wipe)
    until("it is told again", lambda: look(kinds, "luksvolume", "pvc-1")["status"].get("phase") == "Ready", 20)
    after = look(kinds, "luksvolume", "pvc-1")
    for key in ("state", "capacity", "dataOffset", "luksUUID"):
        assert after["status"].get(key) == before["status"].get(key), key
    assert os.stat(node.image("pvc-1")).st_ino == inode
    # The same while its disk is not mounted: nothing is made in its place.
    os.rename(f"{node.base}/host/data", f"{node.base}/host/away")
    kinds.kubectl(*wipe)
    until("the loss is said", lambda: "is the disk of local-path mounted?" in look(kinds, "luksvolume", "pvc-1")["status"].get("message", ""), 20)
    assert not os.path.exists(f"{node.base}/host/data/pvc-1")
    os.rename(f"{node.base}/host/away", f"{node.base}/host/data")
    until("it is well again", lambda: look(kinds, "luksvolume", "pvc-1")["status"].get("phase") == "Ready", 90)
    assert os.stat(node.image("pvc-1")).st_ino == inode
    controller.delete("pvc-1")


def lcw_of(node, *words, given=None):
    """`kubectl exec` into the node's pod: the chart tells lcw by the environment where the driver looks."""
    places = {f"LCW_{key}": f"{node.base}/{value}" for key, value in (
        ("STATE_DIR", "state"), ("RUN_DIR", "run"), ("HOST_ROOT", "host"), ("KUBELET_DIR", "kubelet"))}
    done = subprocess.run([built("lcw"), *words], capture_output=True, text=True, timeout=60, input=given,
                          env={**os.environ, **places, "KUBE_NODE_NAME": node.node})
    assert done.returncode == 0, done
    return done.stdout


def test_lcw_in_the_pod_of_a_node(kinds, start):
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    lcw_of(node, "volume", "check", "pvc-1")
    controller.delete("pvc-1")


def test_volumes_of_the_go_driver_are_taken_over_on_their_node(kinds, start):
    """As docs/migrate.md has it: an image without a record, `lcw node adopt`, and the cluster knows the volume."""
    controller, node = start("a")
    os.makedirs(f"{node.base}/host/data/pvc-go")
    with open(node.image("pvc-go"), "wb") as image:
        image.truncate(48 * MIB)
    kernel.run("cryptsetup", "luksFormat", "--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000",
               "--key-file", "-", node.image("pvc-go"), input="correct horse")
    with refused("NOT_FOUND"):
        controller.expand("pvc-go", 64 * MIB)
    assert "is adopted" in lcw_of(node, "node", "adopt", "--local-path=/data", "--passphrase-fd=0", given="correct horse")
    until("the cluster knows it", lambda: made_again(kinds, "pvc-go", None), 20)
    assert look(kinds, "luksvolume", "pvc-go")["status"]["adopted"] is True
    controller.expand("pvc-go", 64 * MIB)
    assert os.path.getsize(node.image("pvc-go")) == 80 * MIB
    controller.delete("pvc-go")
    assert os.listdir(f"{node.base}/host/data") == []


def test_data_that_are_gone_are_never_made_anew(kinds, start):
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    node.kill()
    shutil.rmtree(f"{node.base}/state")
    os.rename(f"{node.base}/host/data", f"{node.base}/host/away")
    node.start()
    until("the loss is said", lambda: look(kinds, "luksvolume", "pvc-1")["status"]["phase"] == "Failed", 20)
    status = look(kinds, "luksvolume", "pvc-1")["status"]
    assert "cannot be found" in status["message"]
    assert [one["status"] for one in status["conditions"]] == ["False"] and "cannot be found" in status["conditions"][0]["message"]
    assert condition_of(controller, "pvc-1").abnormal
    assert not os.path.exists(f"{node.base}/host/data/pvc-1")
    with refused("FAILED_PRECONDITION", "cannot be found"):
        controller.delete("pvc-1")
    lost = [f"--{key}={node.base}/{value}" for key, value in (("state-dir", "state"), ("run-dir", "run"), ("host-root", "host"))]
    assert "is forgotten" in lcw(kinds, "volume", "forget", "pvc-1", "--node-id=a", *lost)
    assert look(kinds, "luksvolume", "pvc-1") is None
    # Its disk was not lost after all: what lies there is told, and neither used nor removed.
    os.rename(f"{node.base}/host/away", f"{node.base}/host/data")
    node.restart()
    controller.create_on("pvc-2", "a")
    until("the image is told", lambda: look(kinds, "luksnode", "a")["status"]["unknownVolumes"] == ["/data/pvc-1"], 20)
    assert os.path.exists(node.image("pvc-1"))


@pytest.mark.parametrize("change", [
    {"spec": {"nodeName": "b"}}, {"spec": {"capacity": "1Mi"}}, {"spec": {"parameters": {"fsType": "xfs"}}},
    {"spec": {"backend": "s3"}}, {"spec": {"volumeID": "other"}}, {"spec": {"claim": "other/claim"}},
    {"spec": {"volumeName": None}}, {"spec": {"created": "2000-01-01T00:00:00Z"}}, {"spec": {"capacity": "many"}}])
def test_what_may_not_change_is_refused_by_the_api(kinds, start, change):
    controller, _ = start("a")
    controller.create_on("pvc-1", "a")
    said = kinds.kubectl("patch", "luksvolume", "pvc-1", "--type=merge", "-p", json.dumps(change), check=False)
    assert "is invalid" in said
    controller.delete("pvc-1")


def test_an_api_server_that_is_away_stops_no_call_of_kubelet(kinds, start, forwarder):
    front = forwarder()
    kubeconfig = kinds.write_kubeconfig("front.kubeconfig", {"token": kinds.tokens["admin"]},
                                        server=f"https://127.0.0.1:{front.port}")
    controller, node = start("a", api=kubeconfig)
    volume = controller.create_on("pvc-1", "a")
    front.mode = "hold"
    front.cut()
    begun = time.monotonic()
    with refused("NOT_FOUND"):  # known here, and not mounted: answered from the node's own records
        node.stats(volume.volume_id, f"{node.kubelet}/x")
    assert node.probe() and time.monotonic() - begun < 5
    with refused("DEADLINE_EXCEEDED", "Kubernetes API"):
        controller.controller.DeleteVolume(csi.DeleteVolumeRequest(volume_id="pvc-1"), timeout=30)
    front.mode = "open"
    front.cut()
    until("calls go on", lambda: not condition_of(controller, "pvc-1").abnormal, 60)
    controller.delete("pvc-1")


def test_a_silent_node_is_told(kinds, start):
    """What a dead node said last is not the truth; the people of the claim are told."""
    kinds.apply('{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}')
    controller, node, other = start("a", "b")
    claim = {"csi.storage.k8s.io/pvc/name": "web-0", "csi.storage.k8s.io/pvc/namespace": "shop"}
    controller.create_on("pvc-1", "a", **claim)
    controller.create_on("pvc-2", "b")
    node.kill()
    fall_silent(kinds, "a")
    controller.restart()
    until("the volume's health is not known", lambda: healthy(kinds, "pvc-1") == "Unknown", 20)
    assert healthy(kinds, "pvc-2") == "True"
    lines = [line.split()[:2] for line in kinds.kubectl("get", "luksnodes").splitlines()]
    assert lines == [["NAME", "READY"], ["a", "Unknown"], ["b", "True"]]
    node.start()
    until("the node speaks for itself", lambda: healthy(kinds, "pvc-1") == "True", 20)
    assert [line.split()[1] for line in kinds.kubectl("get", "luksnodes").splitlines()] == ["READY", "True", "True"]
    until("all was told", lambda: len(kinds.get("events", "-n", "shop")["items"]) == 2, 10)
    events = sorted(kinds.get("events", "-n", "shop")["items"], key=lambda one: one["type"], reverse=True)
    assert [(one["type"], one["reason"]) for one in events] == [("Warning", "VolumeUnhealthy"), ("Normal", "VolumeHealthy")]
    assert "node 'a', which has it, says nothing any more" in events[0]["message"]
    assert events[0]["involvedObject"]["kind"] == "PersistentVolumeClaim" and events[0]["involvedObject"]["name"] == "web-0"
    for name in ("pvc-1", "pvc-2"):
        controller.delete(name)


def test_the_table_of_kubectl(kinds, start):
    controller, _ = start("a")
    controller.create_on("pvc-1", "a", **{"csi.storage.k8s.io/pvc/name": "web-0", "csi.storage.k8s.io/pvc/namespace": "shop"})
    head, line = kinds.kubectl("get", "luksvolumes").splitlines()
    assert head.split()[:7] == ["NAME", "PHASE", "HEALTHY", "NODE", "CAPACITY", "BACKEND", "FILESYSTEM"]
    assert line.split()[:7] == ["pvc-1", "Ready", "True", "a", "32Mi", "local", "ext4"] and "shop/web-0" in line
    controller.delete("pvc-1")
