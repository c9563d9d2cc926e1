"""The specification's own examples, through the real external-provisioner and external-resizer: claims get
volumes on the node that the scheduler chose, grow, and go.

There is no scheduler and no kubelet here: what they write (the chosen node; the nodes and their topology) the
test writes.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import csi_pb2 as csi
import pytest
import yaml
from cluster import REPO, tool
from conftest import built
from driver import until
from nodes import Controller
from objects import look, objects

DRIVER = "lukscryptwalker.csi.k8s.io"
TOPOLOGY = f"topology.{DRIVER}/node"
TEXT = (REPO / "tests/chart/specification.md").read_text(encoding="utf-8")


def examples(kind):
    """The YAML of the specification, as it stands there."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.M | re.S)
    return [one for block in blocks for one in yaml.safe_load_all(block) if one and one.get("kind") == kind]


@pytest.fixture(scope="module")
def controllers(cluster):
    cluster.start_controllers()
    yield cluster
    cluster.stop_one("kube-controller-manager")


# As the chart has them.
PROVISIONER = ["--strict-topology", "--extra-create-metadata", "--default-fstype=ext4", "--enable-capacity", "--capacity-ownerref-level=-1",
               "--capacity-poll-interval=5s", "--retry-interval-start=500ms", "--retry-interval-max=5s"]
RESIZER = ["--handle-volume-inuse-error=false", "--retry-interval-start=500ms"]
ELECTION = ["--leader-election", "--leader-election-namespace=default", "--leader-election-lease-duration=6s",
            "--leader-election-renew-deadline=4s", "--leader-election-retry-period=1s"]


class Sidecars:
    """external-provisioner and external-resizer of one controller, on a host of that name."""

    def __init__(self, cluster, controller, folder, host="controller-0", options=()):
        self.folder, self.running = folder, []
        shared = [f"--csi-address={controller.socket}", f"--kubeconfig={cluster.kubeconfig}", "--timeout=60s", *options]
        for name, words in (("csi-provisioner", PROVISIONER), ("csi-resizer", RESIZER)):
            with open(folder / f"{name}-{host}.log", "ab") as log:
                # It ends when the driver does; kubelet starts it again.
                self.running.append(subprocess.Popen(
                    ["unshare", "--uts", "sh", "-c", 'hostname "$1"; shift; while :; do "$@"; sleep 0.2; done', "sh", host,
                     tool(name), *shared, *words], stdout=log, stderr=log, start_new_session=True,
                    env={**os.environ, "NAMESPACE": "default", "POD_NAME": host}))

    def kill(self):
        while self.running:
            process = self.running.pop()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)

    def stop(self):
        self.kill()
        if "STAGE_LOGS" in os.environ:
            for log in self.folder.glob("*.log"):
                (pathlib.Path(os.environ["STAGE_LOGS"]) / log.name).write_bytes(log.read_bytes())


@pytest.fixture
def placed(controllers, kinds, start):
    """The controller, and two nodes as the cluster knows them."""
    controller, *nodes = start("a", "b")
    for one in nodes:
        kinds.apply(json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": one.node, "labels": {TOPOLOGY: one.node}}}))
        kinds.apply(json.dumps({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": one.node}, "spec": {
            "drivers": [{"name": DRIVER, "nodeID": one.node, "topologyKeys": [TOPOLOGY]}]}}))
    yield controller, nodes
    kinds.kubectl("delete", "pvc", "--all", "--wait=false", "--namespace=default")
    kinds.kubectl("delete", "csinode,node,storageclass,csistoragecapacities", "--all", "--namespace=default")


@pytest.fixture
def sidecars(placed, kinds, folder):
    """One controller's sidecars, without the election of a leader: it would take its time after each crash."""
    controller, nodes = placed
    both = Sidecars(kinds, controller, folder)
    yield controller, nodes
    both.stop()


def bound(cluster, claim):
    found = look(cluster, "pvc", claim)
    return found if found and found["status"].get("phase") == "Bound" else None


def gone(cluster, seconds):
    """Waits until the provisioner is done with what was deleted: the volume goes first, its PV a moment later, and one
    that outlived the sidecars of its test would be counted by the next."""
    until("all volumes go", lambda: objects(cluster, "luksvolumes") == [] and objects(cluster, "pv") == [], seconds)


def choose(cluster, claim, node):
    """What the scheduler does for a pod."""
    cluster.kubectl("annotate", "pvc", claim, f"volume.kubernetes.io/selected-node={node}")


def test_the_examples_of_the_specification(kinds, sidecars):
    controller, (a, b) = sidecars
    # Of two classes of one name the claim's is the one that says where the data lie.
    local = [one for one in examples("StorageClass") if one["metadata"]["name"] == "lukscryptwalker-local"
             and one["parameters"].get("local-path") == "/opt/local-path-provisioner"]
    kinds.apply(json.dumps(local[-1]))
    claim, = examples("PersistentVolumeClaim")
    kinds.apply(json.dumps(claim))
    choose(kinds, "encrypted-pvc", "b")
    until("the claim is bound", lambda: bound(kinds, "encrypted-pvc"), 60)
    volume = look(kinds, "pv", bound(kinds, "encrypted-pvc")["spec"]["volumeName"])
    handle = volume["spec"]["csi"]["volumeHandle"]
    assert volume["spec"]["capacity"]["storage"] == "1Gi" and volume["spec"]["csi"]["driver"] == DRIVER
    terms = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": [{"key": TOPOLOGY, "operator": "In", "values": ["b"]}]}]
    image = b.image(handle, "/opt/local-path-provisioner")
    assert os.path.getsize(image) == (1 << 30) + (16 << 20)
    assert look(kinds, "luksvolume", handle)["spec"]["claim"] == "default/encrypted-pvc"

    command = re.search(r"^kubectl (patch pvc encrypted-pvc -p '(.*)')$", TEXT, re.M)
    kinds.kubectl("patch", "pvc", "encrypted-pvc", "-p", command.group(2))
    until("the image grows", lambda: os.path.getsize(image) == (2 << 30) + (16 << 20), 60)
    until("kubelet is asked to go on", lambda: "FileSystemResizePending" in json.dumps(look(kinds, "pvc", "encrypted-pvc")["status"]), 60)

    kinds.kubectl("delete", "pvc", "encrypted-pvc", "--wait=false")
    gone(kinds, 60)
    assert not os.path.exists(image)


CLASS = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "now"}, "provisioner": DRIVER,
         "parameters": {"local-path": "/data"}, "volumeBindingMode": "Immediate", "allowVolumeExpansion": True}


def claim_of(name, size="32Mi", class_name="now"):
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": class_name, "resources": {"requests": {"storage": size}}}}


def test_immediate_binding_and_fifty_claims_at_once(kinds, sidecars):
    _, nodes = sidecars
    kinds.apply(json.dumps(CLASS))
    kinds.apply("\n---\n".join(json.dumps(claim_of(f"many-{n}")) for n in range(50)))
    until("all are bound", lambda: sum(one["status"].get("phase") == "Bound" for one in kinds.get("pvc")["items"]) == 50, 110)
    made = [os.listdir(f"{one.base}/host/data") if os.path.exists(f"{one.base}/host/data") else [] for one in nodes]
    assert sum(map(len, made)) == 50 and all(made), "both nodes have some"
    kinds.kubectl("delete", "pvc", "--all", "--wait=false")
    gone(kinds, 110)
    assert [os.listdir(f"{one.base}/host/data") for one in nodes] == [[], []]


def test_no_room_is_said_and_the_node_chosen_anew(kinds, sidecars):
    """A claim that fits on no node: the scheduler may try another node, and `kubectl describe` says why."""
    kinds.apply(json.dumps({**CLASS, "metadata": {"name": "late"}, "volumeBindingMode": "WaitForFirstConsumer"}))
    kinds.apply(json.dumps(claim_of("large", "900Ti", "late")))
    choose(kinds, "large", "a")
    until("the choice is taken back", lambda: "selected-node" not in json.dumps(look(kinds, "pvc", "large")["metadata"].get("annotations", {})), 60)
    events = kinds.get("events", "--field-selector=involvedObject.name=large")["items"]
    assert any("no node has room" in one["message"] and "'a' has" in one["message"] for one in events), events
    assert objects(kinds, "luksvolumes") == []


def test_the_scheduler_knows_how_much_room_there_is(kinds, sidecars):
    kinds.apply(json.dumps({**CLASS, "metadata": {"name": "late"}, "volumeBindingMode": "WaitForFirstConsumer"}))

    def capacities():
        return {one["nodeTopology"]["matchLabels"][TOPOLOGY]: one.get("capacity") for one in kinds.get("csistoragecapacities")["items"]
                if one["storageClassName"] == "late"}

    until("both nodes' room is told", lambda: set(capacities()) == {"a", "b"} and all(capacities().values()), 60)


def test_a_reclaim_policy_of_retain_keeps_the_data(kinds, sidecars):
    _, nodes = sidecars
    kinds.apply(json.dumps({**CLASS, "metadata": {"name": "kept"}, "reclaimPolicy": "Retain"}))
    kinds.apply(json.dumps(claim_of("kept-1", class_name="kept")))
    until("it is bound", lambda: bound(kinds, "kept-1"), 60)
    name = bound(kinds, "kept-1")["spec"]["volumeName"]
    kinds.kubectl("delete", "pvc", "kept-1")
    until("it is released", lambda: look(kinds, "pv", name)["status"]["phase"] == "Released", 60)
    time.sleep(3)  # nothing may happen now, which cannot be waited for
    assert look(kinds, "luksvolume", name)["status"]["phase"] == "Ready"
    assert any(os.path.exists(one.image(name)) for one in nodes)
    kinds.kubectl("delete", "pv", name)


def move_away(node):
    os.rename(f"{node.base}/host/data", f"{node.base}/host/away")
    node.restart()  # which looks at once


def move_back(node):
    os.rename(f"{node.base}/host/away", f"{node.base}/host/data")
    node.restart()


def told(kinds, reason, *words):
    """Whether `kubectl describe` shows it, in the table of events."""
    return any(reason in line and "lukscryptwalker" in line for line in kinds.kubectl("describe", *words).splitlines())


def test_the_people_of_a_claim_are_told_what_is_wrong(kinds, sidecars):
    _, (node, _) = sidecars
    kinds.apply(json.dumps({**CLASS, "metadata": {"name": "late"}, "volumeBindingMode": "WaitForFirstConsumer"}))
    kinds.apply(json.dumps(claim_of("told", class_name="late")))
    choose(kinds, "told", "a")
    until("it is bound", lambda: bound(kinds, "told"), 60)
    name = bound(kinds, "told")["spec"]["volumeName"]
    move_away(node)
    for words in (("pvc", "told"), ("pv", name), ("luksvolume", name)):
        until(f"{words[0]} says it", lambda w=words: told(kinds, "VolumeUnhealthy", *w), 30)
        assert "is the disk of local-path mounted?" in kinds.kubectl("describe", *words)
    move_back(node)
    for words in (("pvc", "told"), ("pv", name), ("luksvolume", name)):
        until(f"{words[0]} says that it is good again", lambda w=words: told(kinds, "VolumeHealthy", *w), 30)
    # The same again is counted at the events that are there.
    move_away(node)
    mine = [f"--field-selector=involvedObject.name={one},reason=VolumeUnhealthy" for one in ("told", name)]
    until("all were told again", lambda: [one["count"] for words in mine for one in kinds.get("events", words)["items"]] == [2, 2, 2], 30)
    move_back(node)
    kinds.kubectl("delete", "pvc", "told", "--wait=false")
    gone(kinds, 60)


def test_the_claim_that_has_a_volume_is_told_and_not_the_one_that_had_it(kinds, sidecars):
    """A volume that was kept, without a claim and then with another one."""
    _, nodes = sidecars
    kinds.apply(json.dumps({**CLASS, "metadata": {"name": "kept"}, "reclaimPolicy": "Retain"}))
    kinds.apply(json.dumps(claim_of("first", class_name="kept")))
    until("it is bound", lambda: bound(kinds, "first"), 60)
    name = bound(kinds, "first")["spec"]["volumeName"]
    node = next(one for one in nodes if os.path.exists(one.image(name)))
    kinds.kubectl("delete", "pvc", "first")
    until("it is released", lambda: look(kinds, "pv", name)["status"]["phase"] == "Released", 60)
    move_away(node)
    until("its volume is told", lambda: told(kinds, "VolumeUnhealthy", "pv", name), 30)
    move_back(node)
    until("and that it is good again", lambda: told(kinds, "VolumeHealthy", "pv", name), 30)
    assert kinds.get("events", "--field-selector=involvedObject.name=first,source=lukscryptwalker.csi.k8s.io")["items"] == []
    kinds.kubectl("patch", "pv", name, "--type=merge", "-p", '{"spec": {"claimRef": null}}')
    second = claim_of("second", class_name="kept")
    second["spec"]["volumeName"] = name
    kinds.apply(json.dumps(second))
    until("the other claim has it", lambda: bound(kinds, "second"), 60)
    move_away(node)
    until("the other claim is told", lambda: told(kinds, "VolumeUnhealthy", "pvc", "second"), 30)
    move_back(node)
    kinds.kubectl("patch", "pv", name, "--type=merge", "-p", '{"spec": {"persistentVolumeReclaimPolicy": "Delete"}}')
    kinds.kubectl("delete", "pvc", "second", "--wait=false")
    gone(kinds, 60)


def test_the_controller_dies_while_it_creates(kinds, sidecars):
    controller, nodes = sidecars
    kinds.apply(json.dumps(CLASS))
    kinds.apply("\n---\n".join(json.dumps(claim_of(f"crash-{n}")) for n in range(10)))
    for _ in range(4):
        time.sleep(1)
        controller.kill()
        controller.start()
    until("all are bound", lambda: sum(one["status"].get("phase") == "Bound" for one in kinds.get("pvc")["items"]) == 10, 110)
    assert len(objects(kinds, "luksvolumes")) == len(objects(kinds, "pv")) == 10
    kinds.kubectl("delete", "pvc", "--all", "--wait=false")
    gone(kinds, 110)
    assert csi.ListVolumesResponse() == controller.controller.ListVolumes(csi.ListVolumesRequest(), timeout=30)
    assert [os.listdir(f"{one.base}/host/data") for one in nodes if os.path.exists(f"{one.base}/host/data")] == [[] for _ in nodes]


def test_a_second_replica_goes_on_where_the_first_one_died(kinds, placed, folder):
    """Two of everything, as the chart has it; one of them works, and dies in the middle."""
    controller, nodes = placed
    second = Controller(folder / "controller-2", built("lukscryptwalker-csi"), kinds.kubeconfig, node="controller-2").start()
    sets = [Sidecars(kinds, controller, folder, "host-1", ELECTION), Sidecars(kinds, second, folder, "host-2", ELECTION)]
    try:
        kinds.apply(json.dumps(CLASS))
        until("somebody leads", lambda: any(one["spec"].get("holderIdentity") for one in kinds.get("leases", "-n", "default")["items"]), 30)
        kinds.apply("\n---\n".join(json.dumps(claim_of(f"two-{n}")) for n in range(20)))
        until("the work has begun", lambda: objects(kinds, "luksvolumes"), 60)
        holder = next(one["spec"]["holderIdentity"] for one in kinds.get("leases", "-n", "default")["items"]
                      if one["metadata"]["name"].startswith("lukscryptwalker"))
        first = 0 if "host-1" in holder else 1
        sets[first].kill()
        (controller, second)[first].kill()
        until("all are bound", lambda: sum(one["status"].get("phase") == "Bound" for one in kinds.get("pvc")["items"]) == 20, 90)
        assert len(objects(kinds, "luksvolumes")) == len(objects(kinds, "pv")) == 20
        assert sum(len(os.listdir(f"{one.base}/host/data")) for one in nodes if os.path.exists(f"{one.base}/host/data")) == 20
        kinds.kubectl("delete", "pvc", "--all", "--wait=false")
        gone(kinds, 90)
    finally:
        for one in sets:
            one.stop()
        if second.process.poll() is None:
            assert second.stop() == 0, second.read_log()
