"""The life of a release on a real control plane, with the driver's processes beside it: upgrade, rollback, uninstall,
install again; and what is refused before anything is changed."""
import contextlib
import json
import os
import pathlib
import re
import shutil

import pytest
from conftest import CHART, NAMESPACE, REPO, dump, passphrase, run, tool
from driver import until
from nodes import Controller, Node, shared_folder
from objects import look, objects

BINARY = os.path.join(os.environ.get("LCW_BUILD", REPO / "build"), "lukscryptwalker-csi")
GROUP = "lukscryptwalker.csi.k8s.io"


@pytest.fixture
def node_object(cluster):
    """Node a: to it the tokens of its pods are bound."""
    cluster.apply(dump([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}]))
    yield
    cluster.kubectl("delete", "node", "a")


@contextlib.contextmanager
def running(cluster, folder, release):
    """Controller and node a as the pods of a release would run, with its rights and no others."""
    def config(role, *words):
        token = cluster.kubectl("-n", NAMESPACE, "create", "token", f"{release}-lukscryptwalker-csi-{role}", *words).strip()
        return cluster.write_kubeconfig(f"{release}-{role}.kubeconfig", {"token": token})

    controller = Controller(folder / "controller", BINARY, config("controller"))
    node = Node(folder / "a", BINARY, config("node", "--bound-object-kind=Node", "--bound-object-name=a"), node="a")
    with shared_folder(node.kubelet):
        before = heartbeat(cluster)
        controller.start()
        node.start()
        until("the node reports", lambda: heartbeat(cluster) not in (None, before), 60)
        try:
            yield controller, node
        finally:
            for one in (controller, node):
                assert one.stop() == 0, one.read_log()


def heartbeat(cluster):
    return ((look(cluster, "luksnode", "a") or {}).get("status") or {}).get("heartbeat")


def identity(cluster, volume):
    found = look(cluster, "luksvolume", volume)
    return found and (found["metadata"]["uid"], found["metadata"].get("deletionTimestamp"), found["spec"], found["status"]["phase"])


def uninstall(admin, name):
    return admin.run("uninstall", name, "--namespace", NAMESPACE, "--wait", "--timeout", "60s")


def test_after_an_uninstall_and_another_install_the_volumes_go_on(cluster, admin, release, kinds, node_object, folder):
    release("first")
    secret = passphrase(cluster)
    with running(cluster, folder, "first") as (controller, node):
        controller.create_on("pvc-stays", "a")
        image = node.image("pvc-stays")
    before = identity(cluster, "pvc-stays")
    assert before[1] is None and before[3] == "Ready"
    uninstall(admin, "first")
    assert identity(cluster, "pvc-stays") == before and os.path.exists(image) and passphrase(cluster) == secret
    assert "lukscryptwalker" not in cluster.kubectl("get", "clusterroles,csidrivers,daemonsets,validatingadmissionpolicies", "-A", "-o", "name")
    # Under another name: nothing of a volume may hang on that of the release.
    release("second")
    assert passphrase(cluster) == secret
    with running(cluster, folder, "second") as (controller, node):
        assert identity(cluster, "pvc-stays") == before
        assert controller.expand("pvc-stays", 64 << 20).capacity_bytes == 64 << 20
        assert os.path.getsize(image) == (64 << 20) + (16 << 20)
        controller.delete("pvc-stays")
        assert objects(cluster, "luksvolumes") == [] and not os.path.exists(image)
        for one in (controller, node):
            assert "forbidden" not in one.read_log() and "PERMISSION_DENIED" not in one.read_log()


def test_what_is_deleted_between_two_installs_goes_after_the_second(cluster, admin, release, kinds, node_object, folder):
    """Nobody is there to destroy the data: the finalizer waits, and does not block the uninstall."""
    release("first")
    with running(cluster, folder, "first") as (controller, node):
        controller.create_on("pvc-goes", "a")
        image = node.image("pvc-goes")
    uninstall(admin, "first")
    cluster.kubectl("patch", "luksvolume", "pvc-goes", "--type=merge", "-p", '{"spec":{"destroy":true}}')
    cluster.kubectl("delete", "luksvolume", "pvc-goes", "--wait=false")
    assert identity(cluster, "pvc-goes")[1] and os.path.exists(image)
    release("second")
    with running(cluster, folder, "second"):
        until("the data are destroyed, then the object goes", lambda: objects(cluster, "luksvolumes") == [], 60)
        assert not os.path.exists(image)


@pytest.fixture
def previous(folder):
    """This chart as its last version may have been: another version and image, and older definitions."""
    copy = folder / "previous"
    shutil.copytree(CHART, copy)
    for path, pattern, text in ((copy / "Chart.yaml", r"(?m)^(version|appVersion): .*", r"\1: 2.0.0-rc.1"),
                                *[(path, f"(?m)^    {GROUP}/definition: .*\n", "") for path in copy.glob("crds/*.yaml")],
                                (copy / "crds/luksvolumes.yaml", r"(?m)^    shortNames: .*\n", "")):
        changed, count = re.subn(pattern, text, path.read_text(encoding="utf-8"))
        assert count
        path.write_text(changed, encoding="utf-8")
    return copy


@pytest.fixture
def no_definitions(cluster):
    """Helm installs them with a first release only."""
    def remove():
        for name in objects(cluster, "luksvolumes") if objects(cluster, "crds") else []:
            cluster.kubectl("patch", "luksvolume", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')

        def gone():
            left = objects(cluster, "crds")
            for name in left:
                cluster.kubectl("delete", "crd", name, "--timeout=30s", check=False)
            return not left

        # The policy of a release that was uninstalled just now refuses it for a moment more.
        until("the definitions go", gone, 60)

    remove()
    yield
    remove()


def images(cluster):
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]
            for kind in ("daemonsets", "deployments") for one in cluster.get("-n", NAMESPACE, kind)["items"]}


def upgrade_commands(folder, cluster):
    """The commands of docs/upgrade.md, with this chart instead of the repository."""
    text = re.search(r"```bash\n(.*?)```", (REPO / "docs/upgrade.md").read_text(encoding="utf-8"), re.S)[1]
    assert text.startswith("helm repo update\n")
    text = text.removeprefix("helm repo update\n").replace("lukscryptwalker-csi/lukscryptwalker-csi", str(CHART))
    programs = [str(pathlib.Path(tool(name)).parent) for name in ("helm", "kubectl")]
    done = run("bash", "-ec", text, env={"PATH": ":".join([*programs, os.environ["PATH"]]), "KUBECONFIG": str(cluster.kubeconfig), "HOME": str(folder)})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_upgrade_as_documented_and_back_again(cluster, admin, no_definitions, previous, node_object, folder):
    """A volume is made before, grows after the upgrade, and goes after the rollback; its processes run on throughout."""
    name = "my-lukscryptwalker"
    values = json.dumps({"controller": {"replicas": 3}, "logging": {"level": "debug"}})
    try:
        admin.run("install", name, previous, "--namespace", NAMESPACE, "-f", "-", given=values)
        secret, old = passphrase(cluster), images(cluster)
        assert set(old.values()) == {"v2.0.0-rc.1"}
        with running(cluster, folder, name) as (controller, node):
            controller.create_on("pvc-1", "a")
            mounter = cluster.get("-n", NAMESPACE, "daemonset", f"{name}-lukscryptwalker-csi-mounter")
            said = upgrade_commands(folder, cluster)
            assert "STATUS: deployed" in said and "older than this chart" not in said
            assert look(cluster, "crd", f"luksvolumes.{GROUP}")["spec"]["names"]["shortNames"] == ["lv"]
            assert set(images(cluster).values()) == {f"v{(REPO / 'VERSION').read_text(encoding='utf-8').strip()}"}
            after = cluster.get("-n", NAMESPACE, "daemonset", f"{name}-lukscryptwalker-csi-mounter")
            assert after["metadata"]["uid"] == mounter["metadata"]["uid"] and after["spec"]["updateStrategy"]["type"] == "OnDelete"
            controllers = cluster.get("-n", NAMESPACE, "deployment", f"{name}-lukscryptwalker-csi-controller")
            assert controllers["spec"]["replicas"] == 3, "the values of the first install"
            assert controller.expand("pvc-1", 64 << 20).capacity_bytes == 64 << 20
            admin.run("rollback", name, "1", "--namespace", NAMESPACE)
            assert images(cluster) == old and passphrase(cluster) == secret
            assert identity(cluster, "pvc-1")[3] == "Ready"
            controller.delete("pvc-1")
            assert objects(cluster, "luksvolumes") == []
            for one in (controller, node):
                assert "forbidden" not in one.read_log() and "PERMISSION_DENIED" not in one.read_log()
    finally:
        admin.run("uninstall", name, "--namespace", NAMESPACE, "--ignore-not-found")
        cluster.kubectl("-n", NAMESPACE, "delete", "secret", "luks-secret", "--ignore-not-found")


def test_older_definitions_are_told(cluster, admin, no_definitions, previous, release):
    admin.run("install", "one", previous, "--namespace", NAMESPACE)
    said = release("one", verb="upgrade")
    for kind in ("luksvolumes", "luksnodes"):
        assert f"The definition of {kind} in this cluster is older than this chart" in said
    assert "kubectl apply --server-side --force-conflicts" in said


def refusal(admin, *words, values=None, namespace=NAMESPACE):
    done = admin.run(*words, CHART, "--namespace", namespace, "-f", "-", given=json.dumps(values or {}), check=False)
    assert done.returncode != 0, done.stdout
    return done.stderr


def history(admin, name):
    return [one["status"] for one in json.loads(admin.run("history", name, "--namespace", NAMESPACE, "-o", "json"))]


def test_a_changed_class_says_what_to_do(cluster, release, admin):
    """Kubernetes refuses it in the middle of an upgrade; here nothing has been upgraded yet."""
    release("one")
    changed = {"storage": {"localPath": "/srv"}, "storageClasses": [{"name": "lukscryptwalker-local", "reclaimPolicy": "Retain", "fsGroup": 26}]}
    said = refusal(admin, "upgrade", "one", values=changed)
    for part in ("local-path '/opt/local-path-provisioner' to '/srv'", "fsGroup '' to '26'", "reclaimPolicy Delete to Retain"):
        assert part in said
    assert history(admin, "one") == ["deployed"]
    command = re.search(r"Run '(kubectl (delete storageclass lukscryptwalker-local))', which no volume notices, and upgrade again", said)
    cluster.kubectl(*command[2].split())
    release("one", changed, verb="upgrade")
    assert cluster.get("storageclass", "lukscryptwalker-local")["parameters"]["local-path"] == "/srv"
    # What may be changed is.
    may = {**changed, "storageClasses": [{**changed["storageClasses"][0], "allowVolumeExpansion": False, "isDefault": True, "mountOptions": ["noatime"]}]}
    release("one", may, verb="upgrade")
    assert cluster.get("storageclass", "lukscryptwalker-local")["allowVolumeExpansion"] is False


def test_a_cluster_has_one_driver(cluster, release, admin):
    release("one")
    said = refusal(admin, "install", "two")
    assert f"'{GROUP}' is installed in this cluster already, as release 'one' in namespace 'kube-system'" in said
    said = refusal(admin, "install", "one", namespace="default")
    assert "as release 'one' in namespace 'kube-system'" in said
    assert history(admin, "one") == ["deployed"]


def test_the_manifests_of_deploy_are_told(cluster, admin):
    cluster.kubectl("apply", "-f", str(REPO / "deploy/20-csidriver.yaml"))
    try:
        assert "run 'kubectl delete -f deploy/' first" in refusal(admin, "install", "one")
    finally:
        cluster.kubectl("delete", "-f", str(REPO / "deploy/20-csidriver.yaml"))


def test_the_go_driver_is_not_upgraded_in_place(cluster, admin, folder):
    """As far as its last chart is known here: the name and version of the chart are a label of its CSIDriver."""
    chart = folder / "old"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: lukscryptwalker-csi\nversion: 1.4.2\n", encoding="utf-8")
    (chart / "templates/csidriver.yaml").write_text(json.dumps({
        "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "spec": {"attachRequired": False, "podInfoOnMount": True},
        "metadata": {"name": GROUP, "labels": {"helm.sh/chart": "lukscryptwalker-csi-1.4.2"}}}), encoding="utf-8")
    admin.run("install", "old", chart, "--namespace", NAMESPACE)
    try:
        said = refusal(admin, "upgrade", "old")
        assert "release 'old' is of the Go driver, which cannot be upgraded in place" in said and "docs/migrate.md" in said
        assert "it is the Go driver: docs/migrate.md" in refusal(admin, "install", "new")
    finally:
        admin.run("uninstall", "old", "--namespace", NAMESPACE)


def test_the_mounter_stays_while_there_are_volumes_in_s3(cluster, release, admin, kinds):
    release("one")
    cluster.apply(dump([{"apiVersion": f"{GROUP}/v1alpha1", "kind": "LUKSVolume", "metadata": {"name": "in-s3"}, "spec": {
        "volumeID": "in-s3", "backend": "s3", "volumeMode": "Filesystem", "capacity": "1Gi", "parameters": {}}}]))
    try:
        assert "LUKSVolume 'in-s3'" in refusal(admin, "upgrade", "one", values={"mounter": {"enabled": False}})
        assert history(admin, "one") == ["deployed"]
    finally:
        cluster.kubectl("patch", "luksvolume", "in-s3", "--type=merge", "-p", '{"spec":{"destroy":true}}')
        cluster.kubectl("delete", "luksvolume", "in-s3")
    release("one", {"mounter": {"enabled": False}}, verb="upgrade")


def test_what_a_namespace_or_a_limit_will_not_allow_is_told(cluster, admin, release):
    cluster.apply(dump([{"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": "narrow", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}]))
    said = admin.run("install", "one", CHART, "--namespace", "narrow", "-f", "-", given=json.dumps(
        {"node": {"resources": {"limits": {"memory": "1Gi", "cpu": "500m"}}}}))
    try:
        command = re.search(r"kubectl (label namespace narrow \S+ --overwrite)", said)
        assert "node.resources.limits.memory is 1Gi" in said
        cluster.kubectl(*command[1].split())
        again = admin.run("upgrade", "one", CHART, "--namespace", "narrow", "--reset-values")
        assert "privileged" not in again and "limits.memory" not in again
        subject = cluster.get("clusterrolebinding", "one-lukscryptwalker-csi-node")["subjects"][0]
        assert subject["namespace"] == "narrow"
    finally:
        admin.run("uninstall", "one", "--namespace", "narrow")
        cluster.kubectl("-n", NAMESPACE, "delete", "secret", "luks-secret", "--ignore-not-found")
