"""Scenario 9: volumes of the Go driver, laid out by hand as it does, are taken over as docs/migrate.md says."""
import re
import shlex
import textwrap

import pytest
from cluster import REPO
from conftest import driver_ready, first_install
from local_volumes import FOLDER, image, is_destroyed
from terminal import claim, pod

COMMANDS = [textwrap.dedent(block) for block in re.findall(
    r"^ *```bash\n(.*?)^ *```", (REPO / "docs/migrate.md").read_text(encoding="utf-8"), re.S | re.M)]
# KiB. The Go driver names none, and cryptsetup's own choice on a machine with enough memory is 1 GiB: much slower here.
MEMORY = 64 << 10


class OldVolume:
    """`name` is of the claim, the pod and, with a prefix, the volume."""

    def __init__(self, node, terminal, name, passphrase):
        self.node, self.terminal, self.name, self.passphrase = node, terminal, name, passphrase
        self.volume = f"pvc-00000000-0000-4000-8000-{name.encode().hex()[:12]:0>12}"

    def make(self, memory=MEMORY):
        """What the Go driver leaves on the node: the image, LUKS2 in it, ext4 in that with data of a pod."""
        self.node.shell(f"""set -e; mkdir -p {FOLDER}/{self.volume} /run/by-hand && truncate -s 256M {image(self.volume)}
            printf %s {shlex.quote(self.passphrase)} > /run/passphrase
            head -c 64 /dev/urandom > /run/volume-key
            cryptsetup luksFormat --batch-mode --type luks2 --key-file /run/passphrase --volume-key-file /run/volume-key --key-size 512 \\
                --pbkdf argon2id --pbkdf-force-iterations 4 --pbkdf-memory {memory} {image(self.volume)}
            cryptsetup open --volume-key-file /run/volume-key {image(self.volume)} by-hand
            mkfs.ext4 -q -F /dev/mapper/by-hand && mount /dev/mapper/by-hand /run/by-hand
            echo of-the-go-driver-{self.name} > /run/by-hand/file
            umount /run/by-hand && cryptsetup close by-hand
            rm /run/passphrase /run/volume-key""", seconds=600)
        return self

    def objects(self, secret="luks-secret"):
        """PersistentVolume and claim, bound as the provisioner left them: no node affinity."""
        attributes = {"local-path": FOLDER, "passphraseKey": "passphrase", "capacity": str(256 << 20),
                      "storage.kubernetes.io/csiProvisionerIdentity": "1700000000000-1-lukscryptwalker.csi.k8s.io"}
        self.terminal.apply({
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": self.volume, "annotations": {"pv.kubernetes.io/provisioned-by": "lukscryptwalker.csi.k8s.io"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "256Mi"}, "persistentVolumeReclaimPolicy": "Delete",
                     "storageClassName": "lukscryptwalker-local", "volumeMode": "Filesystem",
                     "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "default", "name": self.name},
                     "csi": {"driver": "lukscryptwalker.csi.k8s.io", "volumeHandle": self.volume, "fsType": "ext4",
                             "nodeStageSecretRef": {"name": secret, "namespace": "kube-system"}, "volumeAttributes": attributes}}},
            claim(self.name, "lukscryptwalker-local", volumeName=self.volume))
        return self

    def start(self, seconds=300):
        self.terminal.apply(pod(self.name, self.name, nodeSelector={"kubernetes.io/hostname": self.node.name}))
        self.terminal.pod_ready(self.name, seconds)
        assert self.terminal.execute(self.name, "cat /data/file") == f"of-the-go-driver-{self.name}\n"
        self.terminal.execute(self.name, "echo more >> /data/file; sync")

    def end(self):
        self.terminal.delete(f"pod/{self.name}", f"pvc/{self.name}")
        return is_destroyed(self.node, self.terminal, self.volume)


@pytest.fixture(scope="module")
def migrated(installed, node, terminal, repository):
    """Two volumes of the old driver with two passphrases, and the steps of the document up to the install."""
    current = terminal.run("kubectl -n kube-system get secret luks-secret -o jsonpath='{.data.passphrase}' | base64 -d")
    one = OldVolume(node, terminal, "one", current).make().objects()
    other = OldVolume(node, terminal, "other", "of-an-older-version").make().objects("older")
    terminal.run("kubectl -n kube-system create secret generic older --from-literal=passphrase=of-an-older-version")

    terminal.run(COMMANDS[0])
    assert "luks-secret" in terminal.run("cat secrets-of-the-go-driver.yaml")
    # Whose release it was matters not: afterwards there is no driver, and no Secret if the old chart deleted it.
    terminal.run("helm uninstall my-lukscryptwalker --namespace kube-system && kubectl -n kube-system delete secret luks-secret")
    terminal.until("no driver is left", lambda: "lukscryptwalker" not in terminal.run("kubectl -n kube-system get pods -o name"))
    restore = next(line for line in COMMANDS[1].splitlines() if line.startswith("kubectl get secret"))
    terminal.run(restore)
    terminal.run(first_install(repository)[1])
    driver_ready(terminal)
    yield one, other
    terminal.delete("-n", "kube-system", "secret/older")


def adopt(terminal, passphrase=None):
    """The command of the document; `passphrase` instead of the Secret's."""
    pods, command, look = re.fullmatch(r"(kubectl .*?)\n(kubectl .*)\n(kubectl get luksvolumes)\n", COMMANDS[2], re.S).groups()
    plugin = re.search(r"^\S*-node-\S+", terminal.run(pods), re.M)[0]
    if passphrase:
        command = f"printf {passphrase} |" + command.rsplit("|", 1)[1]
    return terminal.run(command.replace("POD", plugin), check=False, seconds=600) + terminal.run(look)


def test_what_the_passphrase_opens_is_adopted_and_the_other_is_named(migrated, terminal):
    one, other = migrated
    said = adopt(terminal)
    assert re.search(rf"'{one.volume}' is adopted", said)
    assert re.search(rf"'{other.volume}'.*passphrase does not open", said)
    assert f"'{other.volume}' is adopted" in adopt(terminal, other.passphrase)
    terminal.until("the cluster knows both", lambda: {one.volume, other.volume} <= set(terminal.run(
        "kubectl get luksvolumes -o jsonpath='{.items[*].metadata.name}'").split()))


@pytest.mark.parametrize("which", [0, 1])
def test_its_pod_has_its_data(migrated, which):
    migrated[which].start()


def test_it_grows_and_keeps_them(migrated, terminal):
    terminal.run("""kubectl patch pvc one -p '{"spec":{"resources":{"requests":{"storage":"512Mi"}}}}'""")
    terminal.until("512 MiB", lambda: int(terminal.execute("one", "df -Pk /data | tail -n 1").split()[1]) > 400 << 10)
    assert terminal.execute("one", "cat /data/file") == "of-the-go-driver-one\nmore\n"


def test_one_that_was_not_adopted_is_at_its_first_stage(migrated, node, terminal):
    late = OldVolume(node, terminal, "late", migrated[0].passphrase).make().objects()
    late.start()
    terminal.until("the cluster knows it", lambda: terminal.get("luksvolume", late.volume)["status"].get("adopted")
                   if late.volume in terminal.run("kubectl get luksvolumes") else None)
    assert late.end()


def test_a_key_derivation_of_1_gib_fits_into_the_pods_limit(migrated, node, terminal):
    """The memory that cryptsetup chose for the Go driver's volumes, because nobody named another."""
    def plugin():
        one, = terminal.get("-n", "kube-system", "pods", "-l", "app=lukscryptwalker-csi-node", "--field-selector",
                            f"spec.nodeName={node.name}")["items"]
        return one["status"]["containerStatuses"][0]

    before = plugin()
    group = node.shell(f"ls -d $(find /sys/fs/cgroup -name '{before['containerID'].removeprefix('containerd://')}')").strip()
    big = OldVolume(node, terminal, "big", migrated[0].passphrase).make(memory=1 << 20).objects()
    header = node.shell(f"cryptsetup luksDump {image(big.volume)}")
    assert re.search(r"Memory: +1048576$", header, re.M), header
    big.start(seconds=800)
    after = plugin()
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], before["restartCount"])
    assert int(node.shell(f"cat {group}/memory.peak")) > 1 << 30
    assert "oom_kill 0\n" in node.shell(f"cat {group}/memory.events")
    assert big.end()


def test_they_go_with_their_claims(migrated):
    assert migrated[0].end() and migrated[1].end()
