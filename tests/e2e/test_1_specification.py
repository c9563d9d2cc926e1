"""Scenario 1: what the specification tells an administrator to do, in its words, on real pods."""
import json

import pytest
from conftest import ROLES, driver_ready, first_install
from terminal import claim, objects, pod, pod_of, section

NAMESPACE = "kube-system"


@pytest.fixture(scope="module")
def usage(installed, terminal):
    """Steps 1 to 3 of Usage: class, claim and pod."""
    storage_class, volume_claim, test_pod = section("Usage")[:3]
    terminal.apply(storage_class, volume_claim, pod_of(test_pod))
    terminal.pod_ready("test-pod")
    yield terminal.volume_of("encrypted-pvc")
    terminal.delete("pod/test-pod", "pvc/encrypted-pvc")


def mapping(node, volume):
    """What cryptsetup says of the volume's device."""
    names = node.shell("dmsetup ls --target crypt").split()
    found = [name for name in names if volume in name]
    assert len(found) == 1, names
    return found[0], node.shell(f"cryptsetup status {found[0]}")


def test_helm_installs_it(installed, terminal):
    assert "STATUS: deployed" in installed and "has been added to your repositories" in installed
    pods = terminal.get("-n", NAMESPACE, "pods")["items"]
    running = {role: [one for one in pods if one["metadata"]["labels"]["app"] == f"lukscryptwalker-csi-{role}"] for role in ROLES}
    assert {role: len(found) for role, found in running.items()} == {"node": 1, "controller": 2, "mounter": 1}
    for one in pods:
        assert all(status["ready"] and status["restartCount"] == 0 for status in one["status"]["containerStatuses"]), one["status"]


def test_the_driver_is_registered(installed, terminal):
    drivers = terminal.get("csinode", "node1")["spec"]["drivers"]
    assert [one["name"] for one in drivers] == ["lukscryptwalker.csi.k8s.io"]
    assert drivers[0]["topologyKeys"] == ["topology.lukscryptwalker.csi.k8s.io/node"]


def test_usage_1_to_3_a_pod_writes_to_its_volume(usage, node, terminal):
    terminal.execute("test-pod", "echo hello-plain-words > /data/file; sync")
    assert "hello-plain-words" in terminal.execute("test-pod", "cat /data/file")
    image = f"/opt/local-path-provisioner/{usage}/luks-{usage}.img"
    assert "LUKS encrypted file, ver 2" in node.shell(f"file {image} || true") or "Version:       \t2" in node.shell(f"cryptsetup luksDump {image}")
    assert node.shell(f"grep -c hello-plain-words {image} || true").strip() == "0"
    assert "aes-xts-plain64" in mapping(node, usage)[1]


def test_the_volume_is_as_big_as_it_was_asked(usage, terminal):
    size = int(terminal.execute("test-pod", "df -Pk /data | tail -n 1").split()[1])
    assert 0.9 * (1 << 20) < size <= 1 << 20


def test_usage_4_expansion_is_seen_in_the_pod(usage, terminal):
    patch = section("Usage", "bash")[0].split("# Or edit")[0]
    assert "encrypted-pvc patched" in terminal.run(patch)
    terminal.until("2 GiB in the pod", lambda: int(terminal.execute("test-pod", "df -Pk /data | tail -n 1").split()[1]) > 1.8 * (1 << 20))
    terminal.until("the claim says so", lambda: terminal.get("pvc", "encrypted-pvc")["status"]["capacity"]["storage"] == "2Gi")


def test_data_outlives_the_pod(usage, terminal):
    terminal.execute("test-pod", "echo kept > /data/kept")
    terminal.delete("pod/test-pod")
    terminal.apply(pod_of(section("Usage")[2]))
    terminal.pod_ready("test-pod")
    assert terminal.execute("test-pod", "cat /data/kept") == "kept\n"


def test_usage_5_a_passphrase_under_another_key(installed, node, terminal):
    terminal.run(section("Usage", "bash")[1])
    terminal.apply(section("Usage")[3], claim("custom", "custom-lukscryptwalker"), pod("custom", "custom"))
    terminal.pod_ready("custom")
    volume = terminal.volume_of("custom")
    image = f"/opt/local-path-provisioner/{volume}/luks-{volume}.img"
    opened = node.shell(f"printf my-secure-passphrase | cryptsetup open --test-passphrase --key-file - {image} && echo opens", seconds=120)
    assert "opens" in opened
    terminal.delete("pod/custom", "pvc/custom")
    terminal.wait_gone("pv", volume)
    assert node.shell(f"ls -d /opt/local-path-provisioner/{volume} 2>&1 || true").startswith("ls:")


def test_the_group_of_a_pod_writes(installed, terminal):
    """The specification's postgres-pod: fsGroup 26, and a user that is not root. Its image makes the volume's root its own
    first; so what the driver has set is seen in another pod."""
    terminal.apply(claim("postgres-pvc", "lukscryptwalker-local", "512Mi"),
                   pod_of(section("Automatic fsGroup Detection (Recommended)")[0]))
    terminal.pod_ready("postgres-pod")
    terminal.until("PostgreSQL answers", lambda: "1" in terminal.execute("postgres-pod", "psql -Atc 'select 1'", check=False).split())
    assert terminal.execute("postgres-pod", "stat -c '%u %g' /var/lib/postgresql/data").split() == ["999", "26"]
    terminal.delete("pod/postgres-pod")
    terminal.apply(pod("plain", "postgres-pvc", securityContext={"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 26}))
    terminal.pod_ready("plain")
    assert "26" in terminal.execute("plain", "id -G").split()
    assert terminal.execute("plain", "stat -c '%g %a' /data; touch /data/mine && stat -c '%u %g' /data/mine").split() == \
        ["26", "2775", "1000", "26"]
    terminal.delete("pod/plain", "pvc/postgres-pvc")


def test_a_group_that_the_class_gives(installed, terminal):
    storage_class, = objects(section("Manual fsGroup Override")[0])
    # Its example names no passphraseKey and no binding mode: both have a default.
    terminal.apply(storage_class, claim("manual", "postgres-encrypted"),
                   pod("manual", "manual", securityContext={"runAsUser": 26, "runAsGroup": 26}))
    terminal.pod_ready("manual")
    assert terminal.execute("manual", "stat -c %g /data; touch /data/mine && stat -c '%u %g' /data/mine").split() == ["26", "26", "26"]
    terminal.delete("pod/manual", "pvc/manual")


def test_the_commands_of_troubleshooting(usage, node, terminal):
    for command in section("Check driver logs:", "bash")[0].strip().split("\n"):
        assert "listening" in terminal.run(command + " --tail=-1")
    name, status = mapping(node, usage)
    assert "is active" in status
    # Without udev in this VM the nodes are libdevmapper's own.
    assert name in node.shell("ls -la /dev/mapper/")


def test_what_the_driver_shows_of_itself(usage, terminal):
    shown = json.dumps(terminal.get("luksvolumes"))
    assert usage in shown
    report, = terminal.get("luksnodes")["items"]
    assert report["metadata"]["name"] == "node1"


def test_a_volume_in_use_outlives_an_uninstall_and_another_install(usage, terminal, repository):
    """The pod goes on without the driver, and its next one has the data: same Secret, same objects."""
    def secret():
        found = terminal.get("-n", NAMESPACE, "secret", "luks-secret")
        return found["metadata"]["uid"], found["data"]

    def volume():
        found = terminal.get("luksvolume", usage)
        return found["metadata"]["uid"], found["spec"]

    before = secret(), volume()
    terminal.execute("test-pod", "echo before > /data/outlives; sync")
    terminal.run("helm uninstall my-lukscryptwalker --namespace kube-system")
    terminal.until("no driver is left", lambda: "lukscryptwalker" not in terminal.run("kubectl -n kube-system get pods -o name"))
    terminal.execute("test-pod", "echo without >> /data/outlives; sync")
    assert (secret(), volume()) == before
    assert "BACK UP" not in terminal.run(first_install(repository)[1])
    driver_ready(terminal)
    assert (secret(), volume()) == before
    terminal.delete("pod/test-pod")
    terminal.apply(pod_of(section("Usage")[2]))
    terminal.pod_ready("test-pod")
    assert terminal.execute("test-pod", "cat /data/outlives") == "before\nwithout\n"
