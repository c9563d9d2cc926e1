"""Scenario 6: the ways in which a pod can ask for a volume."""
import copy
import time

import pytest
from conftest import LOGS
from local_volumes import FOLDER, has_image, image, is_destroyed, is_open, storage_class
from s3 import ACCESS, BUCKET
from terminal import claim, pod, pod_on

RELEASE = "my-lukscryptwalker-lukscryptwalker-csi"
TOPOLOGY = "topology.lukscryptwalker.csi.k8s.io/node"
LOCAL = "lukscryptwalker-local"
WORDS = "plain-words-of-a-kind"


def is_encrypted(node, volume):
    assert node.shell(f"sync; cryptsetup isLuks {image(volume)} && grep -c {WORDS} {image(volume)} || true").strip() == "0"


def test_a_raw_block_volume(installed, node, terminal):
    block = pod_on("node1", "block", "block")
    container = block["spec"]["containers"][0]
    del container["volumeMounts"]
    container["volumeDevices"] = [{"name": "v", "devicePath": "/dev/xvda"}]
    terminal.apply(claim("block", LOCAL, "64Mi", volumeMode="Block"), block)
    terminal.pod_ready("block", seconds=300)
    terminal.execute("block", f"test -b /dev/xvda && echo {WORDS} | dd of=/dev/xvda bs=4096 seek=3 conv=sync,fsync")
    volume = terminal.volume_of("block")
    is_encrypted(node, volume)
    terminal.delete("pod/block")
    terminal.apply(block)
    terminal.pod_ready("block", seconds=300)
    assert WORDS in terminal.execute("block", "dd if=/dev/xvda bs=4096 skip=3 count=1")
    assert int(terminal.execute("block", "blockdev --getsize64 /dev/xvda")) >= 64 << 20
    terminal.delete("pod/block", "pvc/block")
    terminal.wait_gone("pv", volume)


def test_a_volume_of_one_pod_refuses_another(installed, node, terminal):
    """ReadWriteOncePod."""
    terminal.apply(claim("single", LOCAL, "64Mi", mode="ReadWriteOncePod"), pod_on("node1", "first", "single"))
    terminal.pod_ready("first", 300)
    terminal.execute("first", "echo of-the-first > /data/file")
    terminal.apply(pod_on("node1", "second", "single"))
    assert terminal.event("second", "ReadWriteOncePod access mode").startswith("FailedScheduling")
    # Past the scheduler, as a static pod or an old one would be.
    terminal.apply(pod("third", "single", nodeName="node1"))
    terminal.event("third", "ReadWriteOncePod")
    terminal.delete("pod/third")
    assert terminal.execute("first", "cat /data/file") == "of-the-first\n"
    terminal.delete("pod/first")
    terminal.pod_ready("second", 300)
    assert terminal.execute("second", "cat /data/file") == "of-the-first\n"
    volume = terminal.volume_of("single")
    terminal.delete("pod/second", "pvc/single")
    assert is_destroyed(node, terminal, volume)


def test_an_ephemeral_volume_goes_with_its_pod(installed, node, terminal):
    brief = pod_on("node1", "brief", "none")
    template = {"spec": claim("-", LOCAL, "64Mi")["spec"]}
    brief["spec"]["volumes"] = [{"name": "v", "ephemeral": {"volumeClaimTemplate": template}}]
    terminal.apply(brief)
    terminal.pod_ready("brief", 300)
    terminal.execute("brief", f"echo {WORDS} | dd of=/data/file conv=fsync")
    volume = terminal.volume_of("brief-v")
    is_encrypted(node, volume)
    terminal.delete("pod/brief")
    terminal.wait_gone("pvc", "brief-v")
    assert is_destroyed(node, terminal, volume)


def test_subpaths_of_a_volume(installed, node, terminal):
    """Two containers that see a folder each, one of them for reading; and the pod is made again."""
    both = pod_on("node1", "parts", "parts", path="/whole")
    first, second = both["spec"]["containers"] = [copy.deepcopy(both["spec"]["containers"][0]) for _ in range(2)]
    second["name"] = "other"
    first["volumeMounts"] += [{"name": "v", "mountPath": "/part", "subPath": "a"}]
    second["volumeMounts"] = [{"name": "v", "mountPath": "/part", "subPath": "a/b"},
                              {"name": "v", "mountPath": "/look", "subPath": "a", "readOnly": True}]
    terminal.apply(claim("parts", LOCAL, "64Mi"), both)
    terminal.pod_ready("parts", 300)
    terminal.run("kubectl exec parts -c app -- sh -c 'echo one > /part/file'")
    terminal.run("kubectl exec parts -c other -- sh -c 'echo two > /part/file'")
    said = terminal.run("kubectl exec parts -c other -- sh -c 'cat /look/file; echo x > /look/file'", check=False)
    assert said.startswith("one\n") and "Read-only file system" in said
    volume = terminal.volume_of("parts")
    terminal.delete("pod/parts")
    terminal.until("it is closed", lambda: not is_open(node, volume))
    terminal.apply(both)
    terminal.pod_ready("parts", 300)
    assert terminal.run("kubectl exec parts -c app -- cat /whole/a/file /part/b/file") == "one\ntwo\n"
    assert terminal.run("kubectl exec parts -c other -- ls /part") == "file\n"
    terminal.delete("pod/parts", "pvc/parts")
    assert is_destroyed(node, terminal, volume)


def test_two_pods_of_a_node_share_a_volume(installed, node, terminal):
    terminal.apply(claim("shared", LOCAL, "64Mi"), pod_on("node1", "left", "shared"), pod_on("node1", "right", "shared"))
    for name in ("left", "right"):
        terminal.pod_ready(name, 300)
    terminal.execute("left", "echo from-left > /data/left")
    terminal.execute("right", "cat /data/left > /data/right && echo from-right >> /data/right")
    assert terminal.execute("left", "cat /data/right") == "from-left\nfrom-right\n"
    # The one that stays does not notice that the other goes.
    terminal.delete("pod/left")
    assert terminal.execute("right", "echo more >> /data/right && sync && cat /data/right") == "from-left\nfrom-right\nmore\n"
    volume = terminal.volume_of("shared")
    assert is_open(node, volume)
    terminal.delete("pod/right")
    terminal.until("it is closed with the last", lambda: not is_open(node, volume))
    terminal.delete("pvc/shared")
    assert is_destroyed(node, terminal, volume)


def s3_class(name, server, **parameters):
    return storage_class(name, **{
        "storage-backend": "s3", "s3-bucket": BUCKET, "s3-region": "us-east-1", "s3-endpoint": server.inside,
        "s3-force-path-style": "true", "s3-access-key-id-secret-name": "s3-keys", "s3-access-key-id-secret-namespace": "kube-system",
        "rclone-vfs-write-back": "1s", "rclone-vfs-cache-max-size": "64M", **parameters})


@pytest.fixture(scope="module")
def readers_class(installed, s3, terminal):
    """Of volumes that see the same files; the driver may read the Secret as docs/storageclass.md says it without Helm."""
    terminal.run(f"""kubectl -n kube-system create secret generic s3-keys --from-literal=s3-access-key-id={ACCESS} \
        --from-literal=s3-secret-access-key={s3.secret}
    kubectl -n kube-system create role lcw-s3-keys --verb=get --resource=secrets --resource-name=s3-keys
    kubectl -n kube-system create rolebinding lcw-s3-keys --role=lcw-s3-keys \
        --serviceaccount=kube-system:{RELEASE}-node --serviceaccount=kube-system:{RELEASE}-controller""")
    terminal.apply(s3_class("news", s3, **{"s3-path-prefix": "news", "s3-shared-prefix": "true"}))
    yield "news"
    terminal.run("kubectl delete storageclass news; kubectl -n kube-system delete secret/s3-keys role/lcw-s3-keys rolebinding/lcw-s3-keys")


def test_readers_of_s3_on_both_nodes(readers_class, node2, s3, terminal):
    """ReadOnlyMany, beside the one writer of the same prefix; one reader has a subPath of it."""
    terminal.apply(claim("news", readers_class), pod_on("node1", "editor", "news"))
    terminal.pod_ready("editor", 300)
    ours = s3.objects()  # the driver's own
    terminal.execute("editor", "mkdir /data/today && for i in 1 2 3; do echo page-$i | dd of=/data/today/$i conv=fsync; done")
    terminal.until("it is in S3", lambda: len(s3.objects()) == len(ours) + 3)
    readers = {name: pod_on(name, f"reader-{name}", "news-to-read") for name in ("node1", "node2")}
    readers["node2"]["spec"]["containers"][0]["volumeMounts"][0]["subPath"] = "today"
    terminal.apply(claim("news-to-read", readers_class, mode="ReadOnlyMany"), *readers.values())
    for name in readers:
        terminal.pod_ready(f"reader-{name}", 400)
    assert terminal.execute("reader-node1", "cat /data/today/1 /data/today/2 /data/today/3") == "page-1\npage-2\npage-3\n"
    assert terminal.execute("reader-node2", "cat /data/1 /data/2 /data/3") == "page-1\npage-2\npage-3\n"
    before = s3.objects()
    for name in readers:
        said = terminal.execute(f"reader-{name}", "echo no > /data/mine; rm /data/*", check=False)
        assert "Read-only file system" in said and terminal.execute(f"reader-{name}", "ls /data")
    terminal.delete("pod/reader-node1", "pod/reader-node2", seconds=300)
    # The writer has not noticed anything.
    terminal.execute("editor", "echo page-4 | dd of=/data/today/4 conv=fsync")
    terminal.until("a fourth page", lambda: len(s3.objects()) == len(before) + 1)
    volumes = [terminal.volume_of(name) for name in ("news", "news-to-read")]
    terminal.delete("pod/editor", "pvc/news", "pvc/news-to-read", seconds=300)
    for volume in volumes:
        terminal.wait_gone("pv", volume, 300)
    assert s3.objects() == []


def test_fifty_claims_at_once(installed, node, node2, terminal):
    """On two nodes, and bound before any pod asks for them; then a pod of each node uses ten of its own at once."""
    quick = {"luks-pbkdf": "pbkdf2", "luks-pbkdf-iterations": "1000"}
    terminal.apply({**storage_class("many", **quick), "volumeBindingMode": "Immediate"})
    names = [f"many-{number}" for number in range(50)]
    began = time.monotonic()
    terminal.apply({"apiVersion": "v1", "kind": "List", "items": [claim(name, "many", "16Mi") for name in names]})
    terminal.until("all are bound", lambda: len(bound(terminal)) == len(names), 400)
    took = {"50 claims bound": time.monotonic() - began}
    places = bound(terminal)
    volumes = {name: terminal.volume_of(name) for name in names}
    assert len(set(volumes.values())) == len(names)
    nodes = {one.name: one for one in (node, node2)}
    assert all(has_image(nodes[places[name]], volumes[name]) for name in names)

    users = {name: [one for one in names if places[one] == name][:10] for name in nodes if name in places.values()}
    began = time.monotonic()
    for name, own in users.items():
        terminal.apply(pod_of_many(name, own))
    for name, own in users.items():
        terminal.pod_ready(f"many-{name}", 600)
        terminal.execute(f"many-{name}", " && ".join(f"echo {one} > /data/{one}/me" for one in own))
        assert terminal.execute(f"many-{name}", "cat /data/*/me").split() == sorted(own)
    took[f"pods with {' and '.join(str(len(own)) for own in users.values())} of them ready"] = time.monotonic() - began
    began = time.monotonic()
    terminal.delete(*(f"pod/many-{name}" for name in users), seconds=300)
    terminal.delete(*(f"pvc/{name}" for name in names), "storageclass/many", seconds=400)
    terminal.until("nothing is left of them", lambda: not set(volumes.values()) & {
        one["metadata"]["name"] for kind in ("pv", "luksvolume") for one in terminal.get(kind)["items"]}, 400)
    took["pods and claims gone"] = time.monotonic() - began
    for one in nodes.values():
        left = one.shell(f"ls {FOLDER}; dmsetup ls --target crypt")
        assert not [volume for volume in volumes.values() if volume in left], left
    (LOGS / "fifty-claims.txt").write_text("".join(f"{what}: {seconds:.0f} s\n" for what, seconds in took.items()))


def bound(terminal):
    """The claims of that test that have a volume, and the node of each."""
    claims = {one["metadata"]["name"]: one["spec"]["volumeName"] for one in terminal.get("pvc")["items"]
              if one["spec"].get("storageClassName") == "many" and one["status"]["phase"] == "Bound"}
    nodes = {one["metadata"]["name"]: one["spec"]["csi"]["volumeAttributes"][TOPOLOGY] for one in terminal.get("pv")["items"]
             if one["spec"].get("storageClassName") == "many"}
    return {name: nodes[volume] for name, volume in claims.items()}


def pod_of_many(node, claims):
    one = pod_on(node, f"many-{node}", claims[0])
    one["spec"]["volumes"] = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
    one["spec"]["containers"][0]["volumeMounts"] = [{"name": name, "mountPath": f"/data/{name}"} for name in claims]
    return one
