"""Scenario 5: a pod writes to local volumes while its node loses kubelet, containerd or its power, or is rebooted in order.
Nobody does anything: the pod writes on, or comes back with all that fsync said yes to."""
import re

import pytest
from local_volumes import image, is_destroyed, storage_class
from terminal import claim

PLACES = {"ext4": "/ext4/lines", "xfs": "/xfs/lines", "block": "/dev/block"}
# Lines of 8 bytes with their own number, each synced before the next. /tmp has of each place how many were found in the
# beginning and the last that was synced, and what failed.
WRITER = """write() {
  if [ -b $2 ] && [ "$(dd if=$2 bs=7 count=1 2> /dev/null)" != 0000001 ]; then
    dd if=/dev/zero of=$2 bs=1M count=1 conv=fsync 2> /dev/null
  fi
  [ -e $2 ] || : > $2
  number=$(head -c 1000000 $2 | tr -d '\\000' | wc -l)
  echo $number > /tmp/$1.found
  while number=$((number + 1)); do
    printf '%07d\\n' $number | dd of=$2 bs=8 seek=$((number - 1)) conv=notrunc,fsync 2> /dev/null &&
      echo $number > /tmp/$1.new && mv /tmp/$1.new /tmp/$1 || echo $1 $number >> /tmp/failed
    sleep 0.2
  done
}
""" + "".join(f"write {name} {path} &\n" for name, path in PLACES.items()) + "wait"


def stateful_set():
    claims = [claim("ext4", "lukscryptwalker-local", "64Mi"), claim("xfs", "on-xfs", "320Mi"),
              claim("block", "lukscryptwalker-local", "64Mi", volumeMode="Block")]
    container = {"name": "app", "image": "busybox:latest", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", WRITER],
                 "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("ext4", "xfs")],
                 "volumeDevices": [{"name": "block", "devicePath": PLACES["block"]}]}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "writer"}, "spec": {
        "serviceName": "writer", "replicas": 1, "selector": {"matchLabels": {"app": "writer"}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
        "template": {"metadata": {"labels": {"app": "writer"}}, "spec": {
            "terminationGracePeriodSeconds": 3, "nodeSelector": {"kubernetes.io/hostname": "node1"}, "containers": [container]}},
        "volumeClaimTemplates": claims}}


def identity(node, volume, kind):
    """The UUIDs of header and file system. On the way: one loop, one mapping, one place where it is staged and one in the pod."""
    name = f"luks-{volume}"
    loops = node.shell(f"losetup --noheadings --output NAME --associated {image(volume)}").split()
    mappings = [line.split()[0] for line in node.shell("dmsetup ls --target crypt").splitlines() if volume in line]
    assert (len(loops), mappings) == (1, [name]), (loops, mappings)
    if kind != "block":
        # The node's own disk is seen in two places, and so is what is mounted on it.
        mounts = [path for path in node.shell(f"findmnt -rn -o TARGET -S /dev/mapper/{name}").split() if path.startswith("/var/lib/")]
        assert sorted("/globalmount" in path for path in mounts) == [False, True], mounts
    header = node.shell(f"cryptsetup luksUUID {image(volume)}").strip()
    content = node.shell(f"blkid -p -o export /dev/mapper/{name} | grep -E '^(UUID|TYPE)='") if kind != "block" else ""
    assert len(header) == 36 and (kind in content or kind == "block"), (header, content)
    return header, content


class Writer:
    def __init__(self, node, terminal):
        self.node, self.terminal = node, terminal
        self.volumes = {kind: terminal.volume_of(f"{kind}-writer-0") for kind in PLACES}
        self.identities = self.look()

    def look(self):
        return {kind: identity(self.node, volume, kind) for kind, volume in self.volumes.items()}

    def numbers(self, suffix=""):
        """What the pod says of its places in /tmp; nothing while it does not run."""
        names = [f"{kind}{suffix}" for kind in PLACES]
        said = self.terminal.execute("writer-0", f"cd /tmp && grep -s . {' '.join(names)} failed", check=False)
        found = dict(re.findall(r"^([a-z0-9.]+):(.*)$", said, re.M))
        assert "failed" not in found, said
        return {kind: int(found[name]) for kind, name in zip(PLACES, names)} if set(names) <= set(found) else None

    def goes_on(self, seconds=240):
        """Every place gets more lines; returns how many each has."""
        before = self.terminal.until("the writer runs", self.numbers, seconds)

        def more():
            now = self.numbers()
            return now if now and all(now[kind] > before[kind] + 2 for kind in PLACES) else None
        return self.terminal.until("it writes more", more, 240)

    def has_all_lines(self):
        for kind, path in PLACES.items():
            lines = self.terminal.execute("writer-0", f"head -c 1000000 {path} | tr -d '\\000'").split()
            assert lines == [f"{number:07}" for number in range(1, len(lines) + 1)], (kind, lines)

    def is_back(self, synced):
        """It runs again, found what was synced, and writes on; the volumes are the same."""
        self.goes_on(seconds=600)
        found = self.numbers(".found")
        assert all(found[kind] >= synced[kind] for kind in PLACES), (found, synced)
        self.has_all_lines()
        assert self.look() == self.identities

    def container(self):
        status, = self.terminal.get("pod", "writer-0")["status"]["containerStatuses"]
        return status["containerID"]


@pytest.fixture(scope="module")
def writer(installed, node, terminal):
    terminal.apply(storage_class("on-xfs", fsType="xfs"), stateful_set())
    terminal.until("the pod is there", lambda: "writer-0" in terminal.run("kubectl get pods -o name"))
    terminal.pod_ready("writer-0", seconds=600)
    one = Writer(node, terminal)
    one.goes_on()
    yield one
    terminal.run("kubectl delete --ignore-not-found --timeout=120s statefulset/writer storageclass/on-xfs")


def restart(node, terminal, service):
    """As systemd does when it ends."""
    old = node.shell(f"cat /run/{service}.pid")
    node.shell(f"kill {old}")
    terminal.until(f"another {service}", lambda: node.shell(f"cat /run/{service}.pid") != old)


def pod_is_made_anew(writer, terminal):
    """What was forgotten in the restart would be found when kubelet unmounts everything and mounts it again."""
    synced = writer.goes_on()
    uid = terminal.get("pod", "writer-0")["metadata"]["uid"]
    terminal.delete("pod/writer-0")
    terminal.until("another pod", lambda: "writer-0" in terminal.run("kubectl get pods -o name"))
    writer.is_back(synced)
    assert terminal.get("pod", "writer-0")["metadata"]["uid"] != uid


@pytest.mark.parametrize("service", ["kubelet", "containerd"])
def test_a_restarted_service_is_not_noticed(writer, node, terminal, service):
    container = writer.container()
    writer.goes_on()
    restart(node, terminal, service)
    writer.goes_on()
    writer.has_all_lines()
    assert writer.container() == container and writer.look() == writer.identities
    pod_is_made_anew(writer, terminal)


def test_the_power_fails(writer, node):
    synced = writer.goes_on()
    node.power_off()
    node.power_on().wait_ready()
    writer.is_back(synced)


def test_the_node_is_rebooted_in_order(writer, node):
    synced = writer.goes_on()
    node.shut_down()
    node.power_on().wait_ready()
    writer.is_back(synced)


def test_the_power_fails_again_while_the_pod_comes_back(writer, node, terminal):
    """In the middle of the first mount after a power cut: everything is half there."""
    synced = writer.goes_on()
    node.power_off()
    node.power_on().wait_ready()
    terminal.until("one of its volumes is open", lambda: any(
        volume in node.shell("dmsetup ls --target crypt") for volume in writer.volumes.values()), 400)
    node.power_off()
    node.power_on().wait_ready()
    writer.is_back(synced)


def test_its_volumes_go_with_their_claims(writer, node, terminal):
    terminal.delete("statefulset/writer")
    for volume in writer.volumes.values():
        assert is_destroyed(node, terminal, volume)
