"""The chart and deploy/ on a real control plane: what it takes, what stays, who may do what."""
import json
import re
import textwrap

import pytest
import yaml
from conftest import CHART, NAMESPACE, REPO, dump, passphrase, specification_blocks
from test_render import EXAMPLES, FULL, GO_VALUES

# Kinds of the Prometheus operator; a cluster without it does not know them.
FOREIGN = {"ServiceMonitor", "PrometheusRule"}


@pytest.fixture(scope="session")
def places(cluster):
    """The namespaces that the values of the tests name."""
    cluster.apply(dump([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                        for name in ("storage", "team-a")]))


@pytest.mark.parametrize("values", [{}, FULL, GO_VALUES, *EXAMPLES])
def test_the_api_server_takes_all_of_it(helm, cluster, places, values):
    """--dry-run=server with strict validation: no unknown field, no double key, no wrong type."""
    known = [one for one in helm.render(values) if one["kind"] not in FOREIGN]
    said = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=dump(known))
    assert said.count("(server dry run)") == len(known)


def test_the_api_server_takes_deploy(cluster):
    said = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(REPO / "deploy"))
    assert "daemonset.apps/lukscryptwalker-csi-node" in said


def documents():
    """(where, text) of every YAML in the documents."""
    for path in sorted([*REPO.glob("examples/*.yaml")]):
        yield path.name, path.read_text(encoding="utf-8")
    for path in sorted([*REPO.glob("*.md"), *REPO.glob("docs/**/*.md"), *REPO.glob("examples/*.md"), *CHART.glob("*.md")]):
        for number, block in enumerate(re.findall(r"^ *```yaml\n(.*?)^ *```", path.read_text(encoding="utf-8"), re.S | re.M)):
            yield f"{path.name}#{number}", textwrap.dedent(block)


@pytest.mark.parametrize("where,text", list(documents()))
def test_yaml_in_the_documents(helm, cluster, where, text):
    """Objects must be taken by the API server, and everything else is values of the chart."""
    if "apiVersion:" in text:
        cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=text)
    else:
        helm.render(yaml.safe_load(text))


def test_the_specifications_class_beside_the_chart(cluster, release):
    """Install with default values, then apply what the specification says under Usage."""
    release("my-lukscryptwalker")
    usage = [block for block in specification_blocks() if "name: lukscryptwalker-local" in block][1]
    assert "storageclass.storage.k8s.io/lukscryptwalker-local configured" in cluster.apply(usage)
    claim = next(block for block in specification_blocks() if "kind: PersistentVolumeClaim" in block)
    assert "encrypted-pvc created" in cluster.apply(claim)
    cluster.kubectl("delete", "pvc", "encrypted-pvc", "--wait=false")


def test_the_passphrase_is_made_once(cluster, admin, release):
    """U24: the Go driver's chart made a new passphrase at every upgrade."""
    notes = release("one")
    assert "BACK UP the passphrase" in notes
    first = passphrase(cluster)
    assert len(first) == 48
    uid = cluster.get("-n", NAMESPACE, "secret", "luks-secret")["metadata"]["uid"]

    release("one", {"logging": {"level": "debug"}}, verb="upgrade")
    release("one", {"secret": {"passphrase": "another"}}, verb="upgrade")
    assert passphrase(cluster) == first
    admin.run("rollback", "one", "1", "--namespace", NAMESPACE)
    assert passphrase(cluster) == first
    admin.run("uninstall", "one", "--namespace", NAMESPACE)
    assert passphrase(cluster) == first
    notes = release("one")
    assert "BACK UP" not in notes
    assert passphrase(cluster) == first
    assert cluster.get("-n", NAMESPACE, "secret", "luks-secret")["metadata"]["uid"] == uid


def test_a_rollback_keeps_a_rotated_passphrase(cluster, admin, release):
    release("one")
    first = passphrase(cluster)
    release("one", {"logging": {"level": "debug"}}, verb="upgrade")
    cluster.kubectl("-n", NAMESPACE, "patch", "secret", "luks-secret", "--type=merge", "-p", json.dumps(
        {"stringData": {"passphrase": "rotated", "passphrase-previous": first}}))
    admin.run("rollback", "one", "1", "--namespace", NAMESPACE)
    release("one", verb="upgrade")
    assert passphrase(cluster) == "rotated"
    assert passphrase(cluster, key="passphrase-previous") == first


def test_the_tag_of_a_go_image_is_told(release):
    notes = release("one", {"image": {"tag": "v1.0.3"}})
    assert "image.tag is v1.0.3, as for the Go driver" in notes
    assert "image.tag" not in release("one", {"image": {"tag": "v2.0.0"}}, verb="upgrade")


def test_a_secret_made_by_hand_is_left_alone(cluster, release):
    cluster.kubectl("-n", NAMESPACE, "create", "secret", "generic", "luks-secret", "--from-literal=passphrase=mine")
    notes = release("one", {"secret": {"passphrase": "theirs"}})
    assert passphrase(cluster) == "mine" and "TO DO" not in notes


def test_a_given_passphrase(cluster, release):
    release("one", {"secret": {"passphrase": "correct horse", "passphraseKey": "key"},
                    "storageClasses": [{"name": "given"}]})
    assert passphrase(cluster, key="key") == "correct horse"


def test_a_secret_that_has_not_the_key_is_told(cluster, release):
    cluster.kubectl("-n", NAMESPACE, "create", "secret", "generic", "luks-secret", "--from-literal=other=mine")
    assert "the Secret kube-system/luks-secret has no key 'passphrase'" in release("one")


def test_missing_secrets_are_told_with_the_command(cluster, release):
    values = {**EXAMPLES[1], "secret": {"create": False}}
    notes = release("one", values)
    assert "kubectl -n kube-system create secret generic luks-secret --from-literal=passphrase=" in notes
    assert "kubectl -n kube-system create secret generic s3-credentials --from-literal=s3-access-key-id=" in notes
    assert "luks-secret" not in cluster.kubectl("-n", NAMESPACE, "get", "secrets", "-o", "name")


def test_s3_keys_follow_the_values_and_survive(cluster, admin, release):
    def values(key):
        return {"s3StorageClasses": [{"name": "s3", "s3": {"bucket": "abc", "credentialsSecret": {
            "name": "keys", "create": True, "accessKeyId": key, "secretAccessKey": "x"}}}]}
    try:
        release("one", values("a"))
        release("one", values("b"), verb="upgrade")
        assert passphrase(cluster, "keys", "s3-access-key-id") == "b"
        admin.run("uninstall", "one", "--namespace", NAMESPACE)
        assert passphrase(cluster, "keys", "s3-access-key-id") == "b"
        release("one", values("c"))
        assert passphrase(cluster, "keys", "s3-access-key-id") == "c"
    finally:
        cluster.kubectl("-n", NAMESPACE, "delete", "secret", "keys", "--ignore-not-found")


def test_uninstall_leaves_nothing_but_the_secret(cluster, admin, release):
    release("gone", {**FULL, "metrics": {}, "rbac": {}, "secret": {}, "serviceAccount": {}, "s3StorageClasses": [],
                     "storageClasses": [{"name": "gone"}], "storage": {}})
    admin.run("uninstall", "gone", "--namespace", NAMESPACE, "--wait", "--timeout", "60s")
    kinds = ("deployments,daemonsets,services,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,"
             "storageclasses,csidrivers,networkpolicies,pdb,configmaps,secrets,validatingadmissionpolicies,"
             "validatingadmissionpolicybindings")
    left = cluster.kubectl("get", kinds, "-A", "-l", "app.kubernetes.io/instance=gone", "-o", "name")
    assert left.split() == ["secret/luks-secret"]


def permissions(cluster, account):
    """{resource: (names, verbs)} beyond what every account may do."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": NAMESPACE}}
    said = json.loads(cluster.kubectl("create", "-o", "json", "--validate=false", "-f", "-",
                                      f"--as=system:serviceaccount:{NAMESPACE}:{account}",
                                      "--as-group=system:serviceaccounts", "--as-group=system:authenticated",
                                      given=json.dumps(review)))
    found = {}
    for rule in said["status"]["resourceRules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                names = tuple(rule.get("resourceNames") or ())
                found.setdefault((f"{resource}.{group}".rstrip("."), names), set()).update(rule["verbs"])
    return {key: verbs for key, verbs in found.items() if "authorization.k8s.io" not in key[0] and
            "authentication.k8s.io" not in key[0]}


def test_what_the_node_may_do(cluster, release):
    """The whole list: what is not here it may not."""
    release("rights", {"s3StorageClasses": [{"name": "s3", "s3": {"bucket": "abc", "credentialsSecret": {"name": "keys"}}}]})
    ours = "lukscryptwalker.csi.k8s.io"
    assert permissions(cluster, "rights-lukscryptwalker-csi-node") == {
        (f"luksvolumes.{ours}", ()): {"get", "list", "watch", "create", "update", "patch"},
        (f"luksnodes.{ours}", ()): {"create", "patch"},
        (f"luksvolumes/status.{ours}", ()): {"patch"},
        (f"luksnodes/status.{ours}", ()): {"patch"},
        ("events", ()): {"create", "patch"},
        ("persistentvolumes", ()): {"get"},
        ("secrets", ("keys", "s3-credentials")): {"get"},
    }


def test_what_the_controller_may_do(cluster, release):
    """The whole list: what is not here it may not."""
    release("rights", {"s3StorageClasses": [{"name": "s3", "s3": {"bucket": "abc", "credentialsSecret": {"name": "keys"}}}]})
    ours, look = "lukscryptwalker.csi.k8s.io", {"get", "list", "watch"}
    everything = {*look, "create", "update", "patch", "delete"}
    assert permissions(cluster, "rights-lukscryptwalker-csi-controller") == {
        (f"luksvolumes.{ours}", ()): everything - {"watch"},
        (f"luksvolumes/status.{ours}", ()): {"patch"},
        (f"luksnodes.{ours}", ()): {"get", "list"},
        (f"luksnodes/status.{ours}", ()): {"patch"},
        ("secrets", ("keys", "s3-credentials")): {"get"},
        # external-provisioner and external-resizer
        ("persistentvolumes", ()): everything - {"update"},
        ("persistentvolumeclaims", ()): {*look, "update", "patch"},
        ("persistentvolumeclaims/status", ()): {"patch"},
        ("nodes", ()): look,
        ("storageclasses.storage.k8s.io", ()): look,
        ("csinodes.storage.k8s.io", ()): look,
        ("volumeattributesclasses.storage.k8s.io", ()): look,
        ("events", ()): {"list", "watch", "create", "update", "patch"},
        ("events.events.k8s.io", ()): {"list", "watch", "create", "update", "patch"},
        # In the namespace of the release.
        ("leases.coordination.k8s.io", ()): everything,
        ("csistoragecapacities.storage.k8s.io", ()): everything,
        ("pods", ()): {"get"},
        ("replicasets.apps", ()): {"get"},
    }


def test_deploy_goes_and_volumes_stay(cluster, kinds):
    """`kubectl delete -f deploy/` names the definition of LUKSVolumes, too, and with it they would all go."""
    cluster.apply(dump([{"apiVersion": "lukscryptwalker.csi.k8s.io/v1alpha1", "kind": "LUKSVolume", "metadata": {"name": "stays"}, "spec": {
        "volumeID": "stays", "backend": "local", "nodeName": "a", "volumeMode": "Filesystem", "capacity": "1Gi", "parameters": {}}}]))
    cluster.kubectl("apply", "-f", str(REPO / "deploy"))
    cluster.until("the policy is in force", lambda: "not its LUKSVolume" in cluster.kubectl(
        "delete", "luksvolume", "stays", "--dry-run=server", check=False), 30)
    said = cluster.kubectl("delete", "-f", str(REPO / "deploy"), "--wait=false", check=False)
    assert "uninstall the driver first" in said
    assert cluster.get("luksvolume", "stays")["spec"]["volumeID"] == "stays"
    assert "lukscryptwalker" not in cluster.kubectl("get", "daemonsets,deployments,clusterroles,validatingadmissionpolicies", "-A", "-o", "name")
    cluster.until("the policy is gone, too", lambda: "deleted" in cluster.kubectl("delete", "luksvolume", "stays", check=False), 30)


def test_a_node_writes_only_its_own(cluster, release, kinds):
    """The token of one node's pod against objects of another: a stolen node gets no further."""
    release("scope")
    account = f"system:serviceaccount:{NAMESPACE}:scope-lukscryptwalker-csi-node"

    def as_node(node, *words, given=None):
        extra = [f"--as={account}"]
        if node:
            extra += [f"--as-user-extra=authentication.kubernetes.io/node-name={node}"]
        return cluster.kubectl(*words, *extra, given=given, check=False)

    def luksnode(name):
        return dump([{"apiVersion": "lukscryptwalker.csi.k8s.io/v1alpha1", "kind": "LUKSNode", "metadata": {"name": name}}])

    def luksvolume(name, node):
        return dump([{"apiVersion": "lukscryptwalker.csi.k8s.io/v1alpha1", "kind": "LUKSVolume",
                      "metadata": {"name": name}, "spec": {
                          "volumeID": name, "backend": "local", "nodeName": node, "volumeMode": "Filesystem",
                          "capacity": "1Gi", "parameters": {}}}])

    def create(node, name):
        return as_node(node, "create", "--dry-run=server", "--validate=false", "-f", "-", given=luksnode(name))

    # The policy is compiled a moment after it was made.
    cluster.until("the policy is in force", lambda: "may not write the LUKSNode of b" in create("a", "b"), 30)
    assert "created" in create("a", "a")
    assert "names no node" in create(None, "a")

    cluster.kubectl("create", "--validate=false", "-f", "-", given=luksvolume("of-b", "b"))
    label = ("label", "luksvolume", "of-b", "touched=yes")
    assert "node a may not write the LUKSVolume of-b of another node" in as_node("a", *label)
    assert "labeled" in as_node("b", *label)
    assert "nodeName cannot be changed" in as_node("b", "patch", "luksvolume", "of-b", "--type=merge", "-p", '{"spec":{"nodeName":"a"}}')
    assert "forbidden" in as_node("b", "delete", "luksvolume", "of-b")
    assert "of another node" in as_node("a", "create", "-f", "-", given=luksvolume("made-by-a", "b"))
    destroy = ("--type=merge", "-p", '{"spec":{"destroy":true}}')
    assert "may not say that the data of of-b are to be destroyed" in as_node("b", "patch", "luksvolume", "of-b", *destroy)

    in_s3 = json.loads(luksvolume("in-s3", "b"))
    in_s3["spec"].update({"backend": "s3", "nodeName": None})
    assert "created" in as_node("a", "create", "--validate=false", "-f", "-", given=dump([in_s3]))
    assert "may change nothing but the status" in as_node("a", "label", "luksvolume", "in-s3", "touched=yes")
    status = dump([{**{key: in_s3[key] for key in ("apiVersion", "kind", "metadata")}, "status": {"phase": "Ready"}}])
    assert "serverside-applied" in as_node("a", "apply", "--server-side", "--subresource=status", "--validate=false", "-f", "-", given=status)
    for name in ("of-b", "in-s3"):
        cluster.kubectl("patch", "luksvolume", name, *destroy)
        cluster.kubectl("delete", "luksvolume", name)
