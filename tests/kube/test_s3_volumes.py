"""Volumes in S3 in a cluster, as the specification's StorageClass has them: the S3 keys lie in a Secret of their own."""
import base64
import json
import os
import subprocess

import csi_pb2 as csi
import pytest
from driver import mount_capability, until
from objects import look, objects, refused
from s3 import ACCESS, BUCKET, PASSPHRASE, Server

KEYS = {"s3-access-key-id": ACCESS, "s3-secret-access-key": "s3-secret-key-marker"}


@pytest.fixture
def server(tmp_path):
    one = Server(tmp_path).start()
    yield one
    one.stop()


@pytest.fixture
def keys(cluster):
    def write(values):
        cluster.kubectl("apply", "-f", "-", given=json.dumps({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3-credentials", "namespace": "default"},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}))
    yield write
    cluster.kubectl("delete", "secret", "s3-credentials", "--ignore-not-found")


@pytest.fixture
def mounter(start, folder):
    """The controller, the node `a` and its mounter."""
    rclone = f"--rclone={os.environ['LCW_RCLONE']}"
    controller, node = start("a", options=[rclone])
    # Its filter forbids ptrace, with which the sanitizer would look for leaks at its end.
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    with open(f"{node.base}/mounter.log", "ab") as log:
        process = subprocess.Popen([node.binary, "mounter", f"--run-dir={node.base}/run", rclone], stdout=log, stderr=log,
                                   env={**os.environ, "ASAN_OPTIONS": sanitizer})
    until("the mounter serves", lambda: os.path.exists(f"{node.base}/run/mounter.sock"))
    yield controller, node
    process.terminate()
    assert process.wait(30) == 0


def create(controller, server, name, **other):
    parameters = server.parameters(rclone_vfs_cache_mode="off", s3_access_key_id_secret_name="s3-credentials",
                                   s3_access_key_id_secret_namespace="default", **other)
    request = csi.CreateVolumeRequest(name=name, parameters=parameters, volume_capabilities=[mount_capability()])
    request.capacity_range.required_bytes = 1 << 30
    return controller.controller.CreateVolume(request, timeout=30).volume


def test_the_life_of_a_volume(cluster, server, keys, mounter):
    controller, node = mounter
    volume = create(controller, server, "pvc-1")
    assert "nodeName" not in look(cluster, "luksvolume", "pvc-1")["spec"]
    passphrase = {"passphrase": PASSPHRASE}
    with refused("FAILED_PRECONDITION", "default/s3-credentials", "does not exist"):
        node.stage(volume, secrets=passphrase)
    keys({"s3-access-key-id": ACCESS})
    with refused("INVALID_ARGUMENT", "default/s3-credentials", "s3-secret-access-key"):
        node.stage(volume, secrets=passphrase)
    keys(KEYS)
    node.stage(volume, secrets=passphrase)
    path = node.publish(volume)
    with open(f"{path}/a", "w", encoding="utf-8") as out:
        out.write("a text for S3")
    until("the cluster knows who has it", lambda: "a" in look(cluster, "luksvolume", "pvc-1")["status"].get("nodes", {}), 10)
    cluster.kubectl("create", "-f", "-", given='{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}')
    with refused("FAILED_PRECONDITION", "node 'a'"):
        controller.delete("pvc-1")
    cluster.kubectl("delete", "node", "a")
    assert node.stats("pvc-1", path).usage[0].total == 1 << 30
    node.unpublish("pvc-1")
    node.unstage("pvc-1")
    until("the cluster knows that nobody has it", lambda: not look(cluster, "luksvolume", "pvc-1")["status"].get("nodes"), 10)
    assert server.objects() and not server.holds("a text for S3")
    assert controller.expand("pvc-1", 2 << 30).capacity_bytes == 2 << 30
    controller.delete("pvc-1")
    assert server.objects() == [] and objects(cluster, "luksvolumes") == []
    node.restart()  # which reports at once
    until("the node forgets it", lambda: os.listdir(f"{node.base}/state/volumes") == [], 30)
    for log in (controller.read_log(), node.read_log(), open(f"{node.base}/mounter.log", encoding="utf-8").read()):
        assert ACCESS not in log and "s3-secret-key-marker" not in log and PASSPHRASE not in log


def test_only_who_has_a_volume_speaks_of_it(cluster, server, keys, mounter):
    """Every node that ever had it keeps its record, and one that was made anew has none."""
    keys(KEYS)
    controller, node = mounter
    volume = create(controller, server, "pvc-1")
    create(controller, server, "pvc-2")
    node.stage(volume, secrets={"passphrase": PASSPHRASE})
    node.unstage("pvc-1")
    until("nobody has it", lambda: look(cluster, "luksvolume", "pvc-1")["status"].get("nodes") == {}, 20)
    for name, nodes in ("pvc-1", {"b": {}}), ("pvc-2", {"a": {}, "b": {}}):
        cluster.kubectl("patch", "luksvolume", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": {
            "nodes": nodes, "queuedFiles": 5, "queued": "7Mi", "phase": "Failed", "code": "UNAVAILABLE", "message": "of b"}}))
    before = look(cluster, "luksvolume", "pvc-1")["status"]
    node.restart()  # which reports at once
    until("it does not have the other", lambda: look(cluster, "luksvolume", "pvc-2")["status"]["nodes"] == {"b": {}}, 20)
    assert look(cluster, "luksvolume", "pvc-1")["status"] == before
    for name in "pvc-1", "pvc-2":
        cluster.kubectl("patch", "luksvolume", name, "--subresource=status", "--type=merge", "-p", '{"status": {"nodes": null}}')
        controller.delete(name)


def test_an_emptied_prefix_is_no_new_volume_when_nobody_can_be_asked(cluster, server, keys, mounter):
    """This node never had the volume, and the cluster, which knows that it was used, is away."""
    keys(KEYS)
    controller, node = mounter
    volume = create(controller, server, "pvc-1")
    secrets = {**KEYS, "passphrase": PASSPHRASE}
    node.stage(volume, secrets=secrets)
    node.unstage("pvc-1")
    until("the cluster knows", lambda: look(cluster, "luksvolume", "pvc-1")["status"].get("nodes") == {}, 20)
    node.stop()
    os.unlink(f"{node.base}/state/volumes/pvc-1.json")
    server.raw("purge", f"{BUCKET}/volumes")
    good = node.kubeconfig
    node.kubeconfig = str(cluster.write_kubeconfig("nowhere.kubeconfig", {"token": "x"}, server="https://127.0.0.1:1"))
    node.start()
    with refused("UNAVAILABLE", "cannot be asked"):
        node.stage(volume, secrets=secrets)
    assert server.objects() == []
    node.stop()
    node.kubeconfig = good
    node.start()
    with refused("FAILED_PRECONDITION", "was used before"):
        node.stage(volume, secrets=secrets)
    controller.delete("pvc-1")


def test_two_volumes_in_one_place(cluster, server, keys, start):
    controller, = start()
    create(controller, server, "pvc-1", s3_path_prefix="data")
    with refused("INVALID_ARGUMENT", "pvc-1", "s3-path-prefix"):
        create(controller, server, "pvc-2", s3_path_prefix="data")
    assert objects(cluster, "luksvolumes") == ["pvc-1"]
    controller.delete("pvc-1")


def test_an_object_that_was_deleted_by_hand(cluster, server, keys, start):
    """Nobody has a second copy of it: it stays, and everything goes on, until the volume is deleted."""
    controller, = start()
    create(controller, server, "pvc-1")
    cluster.kubectl("delete", "luksvolume", "pvc-1", "--wait=false")
    assert create(controller, server, "pvc-1").volume_id == "pvc-1"
    assert look(cluster, "luksvolume", "pvc-1")["metadata"]["deletionTimestamp"]
    controller.delete("pvc-1")
    assert objects(cluster, "luksvolumes") == []


def test_a_secret_that_may_not_be_read(cluster, server, keys, folder, start):
    """As the role of the chart: this Secret is not among those that it names."""
    keys(KEYS)
    controller, = start()
    create(controller, server, "pvc-1")
    cluster.kubectl("patch", "luksvolume", "pvc-1", "--subresource=status", "--type=merge", "-p",
                    '{"status": {"state": "formatted"}}')
    controller.stop()
    cluster.kubectl("create", "clusterrole", "volumes", "--verb=get,list,create,update,patch,delete",
                    "--resource=luksvolumes.lukscryptwalker.csi.k8s.io")
    cluster.kubectl("create", "clusterrolebinding", "volumes", "--clusterrole=volumes", "--user=narrow")
    cluster.sign("narrow", "/CN=narrow", "extendedKeyUsage=clientAuth")
    controller.kubeconfig = str(cluster.write_kubeconfig("narrow.kubeconfig", {
        "client-certificate": "narrow.crt", "client-key": "narrow.key"}))
    controller.start()
    with refused("PERMISSION_DENIED", "--resource-name=s3-credentials", "kubectl -n default create role"):
        controller.delete("pvc-1")
