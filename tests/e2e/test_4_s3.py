"""Scenario 4: a volume in S3 on two nodes, with the class, the Secret and the commands of the specification."""
import base64
import json

import pytest
from s3 import ACCESS, BUCKET
from terminal import claim, pod_on, section

WRITER = """i=0
while :; do
  i=$((i + 1))
  echo plain-words-$i | dd of=/data/n$i conv=fsync 2> /dev/null && echo $i > /tmp/written || echo $i >> /tmp/failed
  sleep 0.5
done"""


def on(node, name, **spec):
    return pod_on(node, name, "s3-pvc", **spec)


def replaced(text, **words):
    """Each key must be there."""
    for old, new in words.items():
        assert old in text, (old, text)
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def volume(installed, node2, s3, terminal):
    """The specification's class and Secret; what is not ours is the address, the keys and the bucket."""
    storage_class = replaced(section("S3 StorageClass Configuration")[0], **{
        "my-encrypted-volumes": BUCKET,
        '# s3-endpoint: "https://s3.example.com"': f's3-endpoint: "{s3.inside}"',
        '# s3-force-path-style: "false"': 's3-force-path-style: "true"',
        '# s3-path-prefix:': 's3-path-prefix:',
        # Long enough to pull the plug before the upload.
        '# rclone-vfs-write-back: "5s"': 'rclone-vfs-write-back: "30s"',
        '# rclone-vfs-cache-max-size: "10G"': 'rclone-vfs-cache-max-size: "256M"'})
    terminal.run(replaced(section("S3 Credentials Secret", "bash")[0], YOUR_ACCESS_KEY=ACCESS, YOUR_SECRET_KEY=s3.secret,
                          **{"my-encrypted-volumes": BUCKET}))
    terminal.apply(storage_class, claim("s3-pvc", "lukscryptwalker-s3", "1Gi"), on("node1", "writer", command=WRITER))
    terminal.pod_ready("writer", seconds=240)
    return terminal.volume_of("s3-pvc")


@pytest.fixture(scope="module")
def passphrase(installed, terminal):
    secret = terminal.get("-n", "kube-system", "secret", "luks-secret")
    return base64.b64decode(secret["data"]["passphrase"]).decode()


def written(terminal):
    return int(terminal.execute("writer", "cat /tmp/written").strip() or 0)


def goes_on(terminal, count=4):
    """The writer writes more; none of its operations has failed."""
    before = written(terminal)
    terminal.until("the writer goes on", lambda: written(terminal) >= before + count)
    assert terminal.execute("writer", "cat /tmp/failed 2>/dev/null || true") == ""


def driver_pod(terminal, role, node):
    """The pod that has this role there; not one that is ending."""
    found = terminal.get("-n", "kube-system", "pods", "-l", f"app=lukscryptwalker-csi-{role}", "--field-selector",
                         f"spec.nodeName={node}")["items"]
    return [one for one in found if "deletionTimestamp" not in one["metadata"]][0]


def is_ready(one):
    return all(status["ready"] for status in one["status"].get("containerStatuses", [{"ready": False}]))


def test_nothing_in_the_bucket_can_be_read(volume, s3, terminal):
    terminal.execute("writer", "mkdir -p /data/folder-plain && echo plain-words > /data/folder-plain/file")
    goes_on(terminal)
    terminal.until("it is in S3", lambda: len([key for key in s3.objects() if ".lukscryptwalker" not in key]) > 3)
    assert not s3.holds("plain-words") and not s3.holds("folder-plain")


def test_a_deleted_node_plugin_does_not_hurt_a_writer(volume, terminal):
    old = driver_pod(terminal, "node", "node1")["metadata"]["name"]
    terminal.delete("-n", "kube-system", f"pod/{old}")
    goes_on(terminal)
    terminal.until("another one is ready", lambda: is_ready(driver_pod(terminal, "node", "node1")))
    assert driver_pod(terminal, "node", "node1")["metadata"]["name"] != old
    goes_on(terminal)


def test_after_a_killed_mounter_a_new_pod_has_all_that_was_synced(volume, node, terminal):
    before = driver_pod(terminal, "mounter", "node1")["status"]["containerStatuses"][0]["restartCount"]
    last = written(terminal)
    node.shell("kill -9 $(pgrep -f '[l]ukscryptwalker-csi mounter')")
    terminal.until("the writer is told", lambda: terminal.execute("writer", "cat /tmp/failed 2>/dev/null || true") != "")
    terminal.until("kubelet started another mounter", lambda: driver_pod(
        terminal, "mounter", "node1")["status"]["containerStatuses"][0]["restartCount"] > before)
    terminal.apply(on("node1", "early"))
    terminal.event("early", "delete all pods of this node that use the volume")
    terminal.delete("pod/early", "pod/writer")
    terminal.apply(on("node1", "writer", command=WRITER.replace("i=0", "i=100000")))
    terminal.pod_ready("writer", seconds=240)
    for number in (1, last // 2, last):
        assert terminal.execute("writer", f"cat /data/n{number}") == f"plain-words-{number}\n"
    goes_on(terminal)


def test_another_node_reads_what_was_drained(volume, node2, terminal):
    terminal.execute("writer", "echo to-node-2 > /data/message")
    terminal.delete("pod/writer", seconds=240)
    terminal.apply(on("node2", "reader"))
    terminal.pod_ready("reader", seconds=300)
    assert terminal.execute("reader", "cat /data/message /data/folder-plain/file") == "to-node-2\nplain-words\n"
    terminal.execute("reader", "echo from-node-2 > /data/answer")
    terminal.delete("pod/reader", seconds=240)


def test_external_access_with_rclone(volume, s3, passphrase, terminal):
    """The specification's commands. The endpoint is quoted: it has a port, which rclone would take for the end of the remote."""
    text, = section("External Access with rclone CLI", "bash")
    create, use = replaced(text, XXX=ACCESS, YYY=s3.secret, **{
        "https://s3.example.com": f'"{s3.endpoint}"', "my-bucket": BUCKET, "your-passphrase": passphrase,
        "myremote:path/to/file": "myremote:answer"}).split("# List files")
    terminal.run(create)
    # A pod is gone before its volume is drained.
    terminal.until("all is in S3", lambda: "answer" in terminal.run("rclone ls myremote:"))
    said = terminal.run(use)
    assert "message" in said and "folder-plain/file" in said
    assert terminal.run("cat local/answer") == "from-node-2\n"


def test_another_node_is_fenced_while_the_first_has_dirty_data(volume, node, node2, s3, terminal):
    terminal.apply(on("node1", "dirty"))
    terminal.pod_ready("dirty", seconds=240)
    before = s3.objects()
    terminal.execute("dirty", "echo only-on-node-1 | dd of=/data/dirty conv=fsync")
    node.power_off()
    assert s3.objects() == before
    terminal.apply(on("node2", "waiting"))
    said = terminal.event("waiting", "which may hold data that is not in S3 yet")
    assert said.startswith("FailedMount") and f"volume '{volume}' is staged on node 'node1'" in said
    assert terminal.get("pod", "waiting")["status"]["phase"] == "Pending"


def test_the_node_returns_and_gives_the_volume_back(volume, node, s3, terminal):
    node.power_on().wait_ready()
    terminal.until("the pod runs again with its data", lambda: terminal.execute(
        "dirty", "cat /data/message", check=False) == "to-node-2\n", seconds=400)
    terminal.delete("pod/dirty", seconds=300)
    terminal.pod_ready("waiting", seconds=400)
    assert terminal.execute("waiting", "cat /data/message") == "to-node-2\n"


def test_delete_leaves_nothing_in_the_bucket(volume, s3, terminal):
    terminal.delete("pod/waiting", "pvc/s3-pvc", seconds=300)
    terminal.wait_gone("pv", volume, seconds=300)
    assert s3.objects() == [], json.dumps(s3.objects())
