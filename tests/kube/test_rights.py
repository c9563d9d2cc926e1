"""The driver with the rights that the chart gives it, and no others: service accounts, roles and the admission policy of deploy/."""
import json
import os
import subprocess

import pytest
from cluster import tool
from conftest import REPO, built
from driver import until
from nodes import Controller, Node, shared_folder
from objects import fall_silent, healthy, look, objects

NAMESPACE = "kube-system"


def luksnode(name):
    return {"apiVersion": "lukscryptwalker.csi.k8s.io/v1alpha1", "kind": "LUKSNode", "metadata": {"name": name}}


@pytest.fixture
def rights(kinds):
    files = [str(REPO / "deploy" / name) for name in ("10-rbac.yaml", "80-admission.yaml")]
    for path in files:
        kinds.kubectl("apply", "-f", path)
    kinds.apply('{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}')
    # A policy is compiled a moment after it was made.
    as_node = ("create", "--dry-run=server", "--validate=false", "--as=system:serviceaccount:kube-system:lukscryptwalker-csi-node", "-f", "-")
    until("the policies are in force", lambda: "names no node" in kinds.kubectl(*as_node, given=json.dumps(luksnode("probe")), check=False), 60)

    def kubeconfig(account, *words):
        token = kinds.kubectl("create", "token", f"lukscryptwalker-csi-{account}", "-n", NAMESPACE, *words).strip()
        return kinds.write_kubeconfig(f"{account}.kubeconfig", {"token": token})

    yield kubeconfig
    for path in files:
        kinds.kubectl("delete", "-f", path, "--wait=false")
    kinds.kubectl("delete", "node", "a")


def test_the_rights_of_the_chart_are_enough(kinds, rights, folder):
    node_config = rights("node", "--bound-object-kind=Node", "--bound-object-name=a")
    controller = Controller(folder / "controller", built("lukscryptwalker-csi"), rights("controller"))
    node = Node(folder / "a", built("lukscryptwalker-csi"), node_config, node="a")
    with shared_folder(node.kubelet):
        controller.start()
        node.start()
        until("the node reports", lambda: (look(kinds, "luksnode", "a") or {}).get("status", {}).get("heartbeat"), 30)
        controller.create_on("pvc-1", "a")
        assert controller.expand("pvc-1", 64 << 20).capacity_bytes == 64 << 20
        # Lost and made again, by the node alone.
        kinds.kubectl("patch", "luksvolume", "pvc-1", "--type=merge", "-p", '{"metadata":{"finalizers":null},"spec":{"destroy":true}}')
        kinds.kubectl("delete", "luksvolume", "pvc-1")
        node.restart()
        until("it is there again", lambda: (look(kinds, "luksvolume", "pvc-1") or {}).get("status", {}).get("phase") == "Ready", 30)
        kinds.apply(json.dumps({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pvc-1"}, "spec": {
            "capacity": {"storage": "64Mi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
            "csi": {"driver": "lukscryptwalker.csi.k8s.io", "volumeHandle": "pvc-1"}}}))
        # Its node falls silent, and speaks again.
        node.kill()
        fall_silent(kinds, "a")
        controller.restart()
        until("the controller says so", lambda: healthy(kinds, "pvc-1") == "Unknown", 30)
        node.start()
        until("the node says otherwise", lambda: healthy(kinds, "pvc-1") == "True", 30)
        until("both told it at the PersistentVolume", lambda: {one["reason"] for one in kinds.get(
            "events", "--field-selector=involvedObject.kind=PersistentVolume")["items"]} == {"VolumeUnhealthy", "VolumeHealthy"}, 20)
        # Nobody who protects it runs here.
        kinds.kubectl("patch", "pv", "pvc-1", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        kinds.kubectl("delete", "pv", "pvc-1")
        controller.delete("pvc-1")
        assert objects(kinds, "luksvolumes") == [] and os.listdir(f"{node.base}/host/data") == []
        for one in (controller, node):
            assert "forbidden" not in one.read_log() and "PERMISSION_DENIED" not in one.read_log()
            assert one.stop() == 0


def test_a_node_may_not_speak_for_another(kinds, rights, folder):
    """The token of node a in a driver that says it is b: it reports nothing."""
    node = Node(folder / "b", built("lukscryptwalker-csi"), rights("node", "--bound-object-kind=Node", "--bound-object-name=a"), node="b")
    with shared_folder(node.kubelet):
        node.start()
        until("it is refused", lambda: "may not write the LUKSNode of b" in node.read_log(), 30)
        assert look(kinds, "luksnode", "b") is None
        assert node.stop() == 0


def test_a_node_writes_no_event_but_its_own(kinds, rights):
    config = rights("node", "--bound-object-kind=Node", "--bound-object-name=a")

    def send(host, component="lukscryptwalker.csi.k8s.io", name="one", verb="create"):
        event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "default"}, "type": "Warning",
                 "involvedObject": {"kind": "PersistentVolume", "name": "x"}, "reason": "R", "message": "m",
                 "source": {"component": component, "host": host}}
        # `kubectl patch` would read it first.
        words = ["create"] if verb == "create" else ["apply", "--server-side", "--force-conflicts"]
        done = subprocess.run([tool("kubectl"), f"--kubeconfig={config}", *words, "--validate=false", "-f", "-"], input=json.dumps(event), capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    until("the policy is in force", lambda: "may write no event but its own" in send("b"), 60)
    assert "may write no event but its own" in send("a", component="kubelet")
    assert "created" in send("a")
    assert "forbidden" in kinds.kubectl("--as=system:serviceaccount:kube-system:lukscryptwalker-csi-node", "get", "event", "one", check=False)
    kinds.apply(json.dumps({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "others", "namespace": "default"}, "type": "Warning",
                            "involvedObject": {"kind": "Pod", "name": "x", "namespace": "default"}, "reason": "R", "message": "m",
                            "source": {"component": "kubelet", "host": "a"}}))
    assert "may write no event but its own" in send("a", name="others", verb="patch")
    kinds.kubectl("delete", "event", "one", "others")


def test_what_goes_with_its_claim_is_not_deleted_by_hand(kinds, rights, start):
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    uid = look(kinds, "luksvolume", "pvc-1")["metadata"]["uid"]

    def said(*words):
        return kinds.kubectl("delete", "--dry-run=server", *words, check=False)

    until("the policy is in force", lambda: "not its LUKSVolume" in said("luksvolume", "pvc-1"), 30)
    assert "not its LUKSVolume" in kinds.kubectl("delete", "luksvolumes", "--all", check=False)
    assert "uninstall the driver first" in kinds.kubectl("delete", "crd", "luksvolumes.lukscryptwalker.csi.k8s.io", check=False)
    assert "uninstall" not in said("crd", "luksnodes.lukscryptwalker.csi.k8s.io")
    assert look(kinds, "luksvolume", "pvc-1")["metadata"]["uid"] == uid
    # How a volume without a claim is destroyed (docs/operations.md).
    kinds.kubectl("patch", "luksvolume", "pvc-1", "--type=merge", "-p", '{"spec":{"destroy":true}}')
    assert os.path.exists(node.image("pvc-1")) and look(kinds, "luksvolume", "pvc-1")["metadata"]["uid"] == uid
    kinds.kubectl("delete", "luksvolume", "pvc-1")
    assert not os.path.exists(node.image("pvc-1"))


@pytest.mark.parametrize("account", ["node", "controller"])
def test_no_secret_can_be_read(kinds, rights, account):
    config = rights(account)
    for words in (["get", "secret", "any", "-n", NAMESPACE], ["get", "secrets", "-A"],
                  ["get", "secrets", "-n", NAMESPACE, "--watch", "--request-timeout=5s"]):
        done = subprocess.run([tool("kubectl"), f"--kubeconfig={config}", *words], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and "forbidden" in done.stderr.lower(), done
