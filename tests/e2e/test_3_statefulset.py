"""Scenario 3: a StatefulSet on two nodes. The disk of its class has room for one volume on node1, for two on node2."""
import pytest
from local_volumes import has_image, is_destroyed, storage_class
from terminal import claim, pod, pod_on

FOLDER = "/mnt/small"
CLASS = "small"
MIB = {"node1": 300, "node2": 420}
PODS = ("db-0", "db-1", "db-2")


def stateful_set():
    """Of one container that waits; each pod gets a claim of its own."""
    spec = pod("db", "unused")["spec"]
    del spec["volumes"]
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
        "serviceName": "db", "replicas": len(PODS), "podManagementPolicy": "Parallel",
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
        "selector": {"matchLabels": {"app": "db"}}, "template": {"metadata": {"labels": {"app": "db"}}, "spec": spec},
        "volumeClaimTemplates": [claim("v", CLASS, "128Mi")]}}


def disk_is_reported(terminal, name):
    filesystems = terminal.get("luksnode", name).get("status", {}).get("filesystems", [])
    return FOLDER in [one["mountPoint"] for one in filesystems]


def nodes_with_capacity(terminal):
    """Of which the scheduler knows what they have room for."""
    return {label for one in terminal.get("-A", "csistoragecapacities")["items"] if one["storageClassName"] == CLASS
            and "capacity" in one for label in one["nodeTopology"]["matchLabels"].values()}


@pytest.fixture(scope="module")
def disks(node, node2, terminal):
    """A small disk on each node, and a class for it; yields the nodes by their names."""
    nodes = {one.name: one for one in (node, node2)}
    for name, one in nodes.items():
        one.shell(f"truncate -s {MIB[name]}M {FOLDER}.img && mkfs.ext4 -q -m 0 -O ^has_journal -N 256 {FOLDER}.img && "
                  f"mkdir -p {FOLDER} && mount -o loop {FOLDER}.img {FOLDER}")
    terminal.until("the nodes tell of their disks", lambda: all(disk_is_reported(terminal, name) for name in nodes))
    terminal.apply(storage_class(CLASS, **{"local-path": FOLDER}))
    terminal.until("the scheduler knows of both", lambda: nodes_with_capacity(terminal) == set(nodes))
    yield nodes
    terminal.run(f"kubectl delete --ignore-not-found storageclass {CLASS}")
    for one in nodes.values():
        one.shell(f"umount -l {FOLDER} && rm {FOLDER}.img")


def node_of(terminal, name):
    return terminal.get("pod", name)["spec"]["nodeName"]


def volume_of(terminal, name):
    return terminal.volume_of(f"v-{name}")


def say_their_names(terminal):
    """What each pod has in its volume; nothing where it does not run."""
    return [terminal.execute(name, "cat /data/me", check=False).strip() for name in PODS]


@pytest.fixture(scope="module")
def spread(disks, terminal):
    """The set runs; where each of its pods is."""
    terminal.apply(stateful_set())
    terminal.until("all three run", lambda: terminal.get("statefulset", "db")["status"].get("readyReplicas") == 3, 400)
    for name in PODS:
        terminal.execute(name, f"test ! -e /data/me && echo {name} > /data/me")
    return {name: node_of(terminal, name) for name in PODS}


def test_a_claim_goes_to_the_node_that_has_room_for_it(disks, terminal):
    """Its pod would rather be on the other one; and nobody had to try that first."""
    wish = {"weight": 100, "preference": {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node1"]}]}}
    terminal.apply(claim("big", CLASS, "320Mi"), pod("big", "big", affinity={
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}}))
    terminal.pod_ready("big", 240)
    assert node_of(terminal, "big") == "node2"
    assert [said for said in terminal.events("big") if said.startswith("ProvisioningFailed")] == []
    volume = terminal.volume_of("big")
    assert has_image(disks["node2"], volume, FOLDER)
    terminal.delete("pod/big", "pvc/big")
    assert is_destroyed(disks["node2"], terminal, volume, FOLDER)


def test_a_claim_that_no_node_has_room_for_waits_and_says_so(disks, terminal):
    terminal.apply(claim("huge", CLASS, "1Gi"), pod("huge", "huge"))
    said = terminal.event("huge", "did not have enough free storage")
    assert said.startswith("FailedScheduling") and "2 node(s)" in said
    assert terminal.get("pvc", "huge")["status"]["phase"] == "Pending"
    terminal.delete("pod/huge", "pvc/huge")


def test_the_set_is_spread_by_room(spread, disks, terminal):
    assert sorted(spread.values()) == ["node1", "node2", "node2"]
    for name, place in spread.items():
        volume = volume_of(terminal, name)
        assert [one for one in disks if has_image(disks[one], volume, FOLDER)] == [place]


def test_each_pod_comes_back_to_its_own_data(spread, terminal):
    old = {terminal.get("pod", name)["metadata"]["uid"] for name in PODS}
    terminal.delete(*(f"pod/{name}" for name in PODS))
    terminal.until("each has its own data", lambda: say_their_names(terminal) == list(PODS), 240)
    assert not old & {terminal.get("pod", name)["metadata"]["uid"] for name in PODS}
    assert {name: node_of(terminal, name) for name in PODS} == spread


def test_a_set_of_none_and_of_three_again(spread, terminal):
    terminal.run("kubectl scale --replicas=0 statefulset/db")
    for name in PODS:
        terminal.wait_gone("pod", name)
    terminal.run("kubectl scale --replicas=3 statefulset/db")
    terminal.until("each has its own data", lambda: say_their_names(terminal) == list(PODS), 240)
    assert {name: node_of(terminal, name) for name in PODS} == spread


@pytest.fixture
def elsewhere(spread, disks, terminal):
    """A claim of the set, its volume, and the node that does not have it: nothing of it is there afterwards either."""
    name = PODS[0]
    other, = set(disks) - {spread[name]}
    volume = volume_of(terminal, name)
    yield f"v-{name}", volume, other
    terminal.delete("--ignore-not-found", "pod/astray")
    assert disks[other].shell(f"ls {FOLDER}/{volume} 2> /dev/null || true") == ""
    assert terminal.execute(name, "cat /data/me").strip() == name


def test_a_pod_selected_onto_the_wrong_node_is_told(elsewhere, terminal):
    name, _, other = elsewhere
    terminal.apply(pod_on(other, "astray", name))
    assert terminal.event("astray", "PersistentVolume's node affinity").startswith("FailedScheduling")
    assert terminal.get("pod", "astray")["status"]["phase"] == "Pending"


def test_a_pod_put_onto_the_wrong_node_is_told(elsewhere, terminal):
    """Past the scheduler."""
    name, _, other = elsewhere
    terminal.apply(pod("astray", name, nodeName=other))
    assert terminal.event("astray", "NodeAffinity check failed").startswith("FailedMount")
    assert terminal.get("pod", "astray")["status"]["phase"] != "Running"


def test_a_volume_made_known_without_its_node_is_told(elsewhere, spread, terminal):
    """As after a restore of objects by hand: neither scheduler nor kubelet knows where the data are. The driver does."""
    name, volume, other = elsewhere
    kept = terminal.get("pv", volume)["spec"]
    spec = {key: kept[key] for key in ("accessModes", "capacity", "csi")}
    terminal.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "by-hand"}, "spec": {
        **spec, "persistentVolumeReclaimPolicy": "Retain", "storageClassName": CLASS, "claimRef": {
            "namespace": "default", "name": "by-hand"}}},
        claim("by-hand", CLASS, "128Mi", volumeName="by-hand"), pod_on(other, "astray", "by-hand"))
    said = terminal.event("astray", f"the data of volume '{volume}' is on node '{spread[PODS[0]]}', this is node '{other}'")
    assert said.startswith("FailedMount")
    assert terminal.get("pod", "astray")["status"]["phase"] == "Pending"
    terminal.delete("pod/astray", "pvc/by-hand", "pv/by-hand")


def test_its_volumes_go_with_the_set(spread, disks, terminal):
    volumes = {volume_of(terminal, name): place for name, place in spread.items()}
    terminal.delete("statefulset/db")
    for volume, place in volumes.items():
        assert is_destroyed(disks[place], terminal, volume, FOLDER)
