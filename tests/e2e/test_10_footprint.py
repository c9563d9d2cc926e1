"""Scenario 10: what the driver costs on a running cluster. Every figure is printed and kept in $STAGE_LOGS/footprint.txt;
what it says of time depends on the machine and is asserted nowhere."""
import collections
import statistics
import time

import pytest
from conftest import LOGS
from local_volumes import storage_class
from terminal import claim, pod

PODS, VOLUMES_EACH = 5, 10
# KiB, as issue 6 has them: our own container of each role.
ALLOWED = {"node": 8 << 10, "controller": 12 << 10}
ROUNDS = 3


@pytest.fixture(scope="module")
def report():
    path = LOGS / "footprint.txt"
    path.write_text("")
    return path


@pytest.fixture
def figure(report, capsys):
    def say(line):
        with report.open("a", encoding="utf-8") as kept, capsys.disabled():
            print(line, file=kept)
            print(f"\n    {line}", end="", flush=True)
    return say


def containers(terminal):
    """Role, name in the pod, and containerd's name for it, of each of ours."""
    for one in terminal.get("-n", "kube-system", "pods", "-l", "app.kubernetes.io/instance=my-lukscryptwalker")["items"]:
        role = one["metadata"]["labels"]["app"].removeprefix("lukscryptwalker-csi-")
        for status in one["status"]["containerStatuses"]:
            yield role, status["name"], status["containerID"].removeprefix("containerd://")


# Of each process in a pod: its PSS in KiB, the path of its cgroup, which ends with the container, and its name.
LOOK = """for folder in $(grep -l kubepods /proc/[0-9]*/cgroup); do
  folder=${folder%/cgroup}
  awk -v "name=$(< $folder/comm)" -v "group=$(< $folder/cgroup)" '$1 == "Pss:" { print $2, group, name }' $folder/smaps_rollup
done 2> /dev/null || true"""


def programs_of_containers(node):
    """One look: PSS in KiB of each program, by containerd's name of its container."""
    found = collections.defaultdict(collections.Counter)
    for line in node.shell(LOOK, seconds=120).splitlines():
        size, group, program = line.split(" ", 2)
        found[group.rsplit("/", 1)[1]][program] += int(size)
    return found


def memory(node, terminal):
    """Roles with the containers of their pod that has the most, and those with PSS in KiB of each program."""
    looks = [programs_of_containers(node) for _ in range(ROUNDS)]
    found = collections.defaultdict(dict)
    for role, name, key in containers(terminal):
        # A worker that does something right now is not what the driver costs all day.
        least = min((look[key] for look in looks), key=lambda programs: programs.total())
        assert least, (role, name)
        if least.total() > found[role].get(name, collections.Counter()).total():
            found[role][name] = least
    return found


def tell_memory(node, terminal, figure, when):
    found = memory(node, terminal)
    for role, parts in found.items():
        words = [f"{name} {parts[name].total() / 1024:.1f}" + (f" ({', '.join(parts[name])})" if len(parts[name]) > 1 else "")
                 for name in sorted(parts)]
        figure(f"PSS in MB, {when}, {role}: {', '.join(words)}")
    assert set(found) == {"node", "controller", "mounter"}
    for role, allowed in ALLOWED.items():
        assert sum(found[role]["driver"].values()) <= allowed, (role, found[role])
    return found


def test_memory_when_idle(installed, node, terminal, figure):
    tell_memory(node, terminal, figure, "idle")


def pod_of_many(name, storage_class_name):
    """Its volumes come and go with it."""
    spec = claim("unused", storage_class_name, "32Mi")["spec"]
    one = pod(name, "unused")
    names = [f"v{number}" for number in range(VOLUMES_EACH)]
    one["spec"]["volumes"] = [{"name": volume, "ephemeral": {"volumeClaimTemplate": {"spec": spec}}} for volume in names]
    one["spec"]["containers"][0]["volumeMounts"] = [{"name": volume, "mountPath": f"/{volume}"} for volume in names]
    return one


@pytest.fixture(scope="module")
def many(installed, terminal):
    """Pods with many small volumes, whose key derivation costs nothing: their number is looked at, not their cost."""
    names = [f"many-{number}" for number in range(PODS)]
    terminal.apply(storage_class("many", **{"luks-pbkdf": "pbkdf2", "luks-pbkdf-iterations": "1000", "allocation": "thin"}))
    terminal.apply(*(pod_of_many(name, "many") for name in names))
    for name in names:
        terminal.pod_ready(name, seconds=700)
    yield PODS * VOLUMES_EACH
    terminal.delete(*(f"pod/{name}" for name in names), "storageclass/many", seconds=300)
    terminal.until("their volumes are gone", lambda: "many-" not in terminal.run("kubectl get pvc,pv"), 400)


def test_memory_with_many_volumes(many, node, terminal, figure):
    assert len(node.shell("dmsetup ls --target crypt | grep luks-").splitlines()) >= many
    tell_memory(node, terminal, figure, f"with {many} volumes")


def test_sizes_of_the_images(installed, terminal, figure):
    """As containerd has them, from which everything was unpacked."""
    used = {status["image"] for one in terminal.get("-n", "kube-system", "pods")["items"]
            for status in one["status"]["containerStatuses"]}
    sizes = {name: image["sizeBytes"] for image in terminal.get("node", "node1")["status"]["images"] for name in image["names"]}
    for name in sorted(used):
        figure(f"image in MB: {name} {sizes[name] / 1e6:.0f}")


def seconds_to_running(terminal, one):
    begin = time.monotonic()
    terminal.apply(one)
    terminal.run(f"kubectl wait --for=jsonpath='{{.status.phase}}'=Running --timeout=300s pod/{one['metadata']['name']}", seconds=330)
    return time.monotonic() - begin


def test_time_from_pod_to_running(installed, terminal, figure):
    """A pod with a new volume of the standard class, the same pod again, and one with an emptyDir, in turns."""
    ours, empty = pod("timed", "timed"), pod("timed-empty", "unused")
    empty["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    took = collections.defaultdict(list)
    for _ in range(ROUNDS):
        terminal.apply(claim("timed", "lukscryptwalker-local"))
        for what, one in (("with a new volume", ours), ("with it again", ours), ("with an emptyDir", empty)):
            took[what].append(seconds_to_running(terminal, one))
            terminal.delete(f"pod/{one['metadata']['name']}")
        volume = terminal.volume_of("timed")
        terminal.delete("pvc/timed")
        terminal.wait_gone("pv", volume)
    medians = {what: statistics.median(times) for what, times in took.items()}
    for what, median in medians.items():
        figure(f"seconds from pod to Running, median of {ROUNDS}, {what}: {median:.1f}, more than an emptyDir: "
               f"{median - medians['with an emptyDir']:.1f}")
